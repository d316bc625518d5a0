//! Files that are cut off, damaged, or made to exhaust us.

use std::fmt::Write as _;

use super::*;

const FILE: &[u8] = b"{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n";

fn broken(fault: Option<Fault>) -> (Place, String) {
    match fault {
        Some(Fault::Broken { place, problem }) => (place, problem),
        other => panic!("{other:?}"),
    }
}

/// A file that does not compress well, so that rows come before its end.
fn long_file() -> String {
    let mut file = String::new();
    let mut number = 1_u64;
    for _ in 0..5_000 {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        writeln!(file, "{{\"id\":{number}}}").unwrap();
    }
    file
}

#[tokio::test]
async fn wherever_a_file_is_cut_off_it_is_told_and_what_came_before_stands() {
    let whole = read("a.json", FILE, Options::default()).await;
    let files = [("a.json", FILE), ("b.json", FILE)];
    for (name, file, members) in [
        ("a.gz", gzip(FILE).await, Vec::new()),
        ("a.zip", zip(&files, stored()), vec!["a.json", "b.json"]),
        ("a.zip", zip(&files, deflated()), vec!["a.json", "b.json"]),
        ("a.zip", zip_in_one_go(&files, deflated()), vec!["a.json", "b.json"]),
    ] {
        // Behind its files a zip only has its list of contents.
        let contents = file
            .windows(4)
            .position(|part| part == b"PK\x01\x02")
            .unwrap_or(file.len());
        for cut in 1..contents {
            let (rows, fault) = read_pieces(name, &file[..cut], 1_000, Options::default()).await;
            let (place, problem) = broken(fault);
            assert_eq!(place.rows, rows.len() as u64, "{name} {cut}");
            assert!(!problem.is_empty());
            let found = short(&rows);
            let (first, second) = found.split_at(found.len().min(3));
            assert_eq!(first, &whole[..first.len()], "{name} {cut}");
            assert!(
                second.iter().zip(&whole).all(|((_, found), (_, row))| found == row),
                "{name} {cut}"
            );
            assert!(place.member.is_none() || members.contains(&place.member.as_deref().unwrap()));
        }
    }
}

#[tokio::test]
async fn a_gzip_that_is_cut_off_says_behind_which_row() {
    let file = long_file();
    let packed = gzip(file.as_bytes()).await;
    let (rows, fault) = read_pieces("a.gz", &packed[..packed.len() * 3 / 4], 10_000, Options::default()).await;
    let text = fault.unwrap().to_string();
    assert!((1_000..5_000).contains(&rows.len()), "{}", rows.len());
    assert_eq!(
        text,
        format!("the file is broken behind row {}: it is cut off", rows.len())
    );
}

#[tokio::test]
async fn a_damaged_file_of_a_zip_is_told_with_its_name() {
    for (zip, problem) in [
        (
            zip(&[("a.json", FILE)], stored()),
            "a.json is not what its checksum says, or is cut off",
        ),
        (zip(&[("a.json", FILE)], deflated()), "a.json is not"),
    ] {
        let mut zip = zip;
        let at = zip.windows(6).position(|part| part == b"a.json").unwrap() + 10;
        zip[at] ^= 0x55;
        let (place, found) = broken(read_pieces("a.zip", &zip, 10, Options::default()).await.1);
        assert!(found.starts_with(problem), "{found}");
        assert_eq!(place.member.as_deref(), Some("a.json"));
    }
    let flagged = |at: usize, value: u8| {
        let mut zip = zip(&[("a.json", FILE)], stored());
        zip[at] |= value;
        zip
    };
    for (zip, problem) in [
        (flagged(6, 1), "a.json is encrypted"),
        (
            flagged(6, 8),
            "a.json is stored without its size, so that its end cannot be seen; deflate it",
        ),
        (flagged(8, 12), "a.json is compressed by method 12; deflate it"),
    ] {
        let (_, found) = broken(read_pieces("a.zip", &zip, 10, Options::default()).await.1);
        assert_eq!(found, problem);
    }
}

#[tokio::test]
async fn what_is_not_compressed_as_its_name_says_is_told_and_read_if_somebody_says_so() {
    let (_, problem) = broken(read_pieces("a.json.gz", FILE, 10, Options::default()).await.1);
    assert!(problem.starts_with("by its name it is a gzip"), "{problem}");
    let mut said = Options::default();
    said.format.compression = Some(Compression::None);
    assert_eq!(read("a.json.gz", FILE, said).await.len(), 3);
}

#[tokio::test]
async fn what_grows_out_of_all_proportion_is_not_read_on() {
    let zeros = vec![b'0'; 16 << 20];
    for (name, file) in [
        ("a.gz", gzip(&zeros).await),
        ("a.zip", zip(&[("a", zeros.as_slice())], deflated())),
    ] {
        let (place, problem) = broken(read_pieces(name, &file, 10_000, Options::default()).await.1);
        assert_eq!(problem, "it is compressed more than 250 times, as no records are");
        assert_eq!(place.rows, 0);
    }
}

#[tokio::test]
async fn a_source_that_fails_is_not_a_file_that_is_broken() {
    let files = [("a.json", FILE)];
    for (name, file) in [
        ("a.json", FILE.to_vec()),
        ("a.gz", gzip(FILE).await),
        ("a.zip", zip(&files, stored())),
        ("a.zip", zip(&files, deflated())),
        ("a.zip", zip_in_one_go(&files, deflated())),
    ] {
        for cut in 0..file.len().min(40) {
            let pieces = vec![
                Ok(Bytes::copy_from_slice(&file[..cut])),
                Err(io::Error::other("the network")),
            ];
            let (rows, fault) = read_from(name, pieces, Options::default()).await;
            let Some(Fault::Source { place, source }) = fault else {
                panic!("{name} {cut}: {fault:?}")
            };
            assert_eq!(
                (place.rows, source.to_string()),
                (rows.len() as u64, "the network".to_owned())
            );
        }
    }
}

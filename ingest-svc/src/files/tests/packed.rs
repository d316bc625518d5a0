//! Compressions.

use super::*;

const CSV: &[u8] = b"id,city\n1,Porto\n2,\"Vila\nNova\"\n3,Faro\n";
const LINES: &[u8] = b"{\"id\":4}\n{\"id\":5}\n";

fn rows_of_csv() -> Vec<Short> {
    good(&[
        r#"{"id":"1","city":"Porto"}"#,
        r#"{"id":"2","city":"Vila\nNova"}"#,
        r#"{"id":"3","city":"Faro"}"#,
    ])
}

#[tokio::test]
async fn however_a_file_is_packed_and_cut_its_rows_are_the_same() {
    let files = [("people.csv", CSV)];
    let two_gzips = [gzip(&CSV[..20]).await, gzip(&CSV[20..]).await].concat();
    for (name, file) in [
        ("people.csv", CSV.to_vec()),
        ("people.csv.gz", gzip(CSV).await),
        ("people.csv.gz", two_gzips),
        ("people", gzip(CSV).await),
        ("people.zip", zip(&files, stored())),
        ("people.zip", zip(&files, deflated())),
        ("people.zip", zip(&files, deflated().large_file(true))),
        ("people.zip", zip_in_one_go(&files, deflated())),
        ("people.zip", zip_in_one_go(&files, deflated().large_file(true))),
        ("people", zip(&[("x", CSV)], deflated())),
    ] {
        for piece in [1, 2, 3, 7, 1_000] {
            let (rows, fault) = read_pieces(name, &file, piece, Options::default()).await;
            assert!(fault.is_none(), "{name}: {fault:?}");
            assert_eq!(short(&rows), rows_of_csv(), "{name} {piece}");
        }
    }
}

#[tokio::test]
async fn all_files_of_a_zip_are_read_and_numbers_go_on() {
    let files = [
        ("a/", &b""[..]),
        ("a/people.csv", CSV),
        ("__MACOSX/a", b"x\n1\n"),
        ("empty", b""),
        ("b.json", LINES),
    ];
    for zip in [
        zip(&files, stored()),
        zip(&files, deflated()),
        zip_in_one_go(&files, deflated()),
    ] {
        let (rows, fault) = read_pieces("all.zip", &zip, 5, Options::default()).await;
        assert!(fault.is_none(), "{fault:?}");
        let found = rows.iter().map(|row| (row.number, row.member.as_deref().unwrap()));
        let csv = "a/people.csv";
        assert_eq!(
            found.collect::<Vec<_>>(),
            [(1, csv), (2, csv), (3, csv), (4, "b.json"), (5, "b.json")]
        );
        assert_eq!(
            short(&rows)[3..],
            [(4, Ok("{\"id\":4}".to_owned())), (5, Ok("{\"id\":5}".to_owned()))]
        );
    }
    assert_eq!(read("none.zip", &zip(&[], stored()), Options::default()).await, []);
}

#[tokio::test]
async fn whoever_goes_on_at_a_row_gets_what_is_left_with_the_same_numbers() {
    let files = [("people.csv", CSV), ("b.json", LINES)];
    let zip = zip_in_one_go(&files, deflated());
    let whole = read("all.zip", &zip, Options::default()).await;
    assert_eq!(whole.len(), 5);
    for from_row in 1..=7 {
        let options = Options {
            from_row,
            ..Options::default()
        };
        let left = whole.iter().filter(|(number, _)| *number >= from_row);
        assert_eq!(read("all.zip", &zip, options).await, left.cloned().collect::<Vec<_>>());
    }
}

#[test]
fn a_row_and_a_file_of_any_length_are_read_in_bounded_memory() {
    const LINES: usize = 200_000;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let line = format!("{{\"id\":\"{}\"}}\n", "x".repeat(90));
    // One row of 32 MB, and very many of 100 bytes.
    for (piece, times, rows) in [("x".repeat(1 << 20), 32, 1), (line.repeat(1_000), LINES / 1_000, LINES)] {
        let piece = Bytes::from(piece);
        let count = |pieces: Vec<io::Result<Bytes>>| async {
            let source = StreamReader::new(stream::iter(pieces));
            let mut reader = Reader::open(source, "a.ndjson", Options::default()).await.unwrap();
            let mut count = 0;
            while reader.next().await.unwrap().is_some() {
                count += 1;
            }
            assert_eq!(count, rows);
        };
        let pieces = std::iter::repeat_with(|| Ok(piece.clone())).take(times).collect();
        let held = allocation_counter::measure(|| runtime.block_on(count(pieces)));
        assert!(held.bytes_max < 4 << 20, "{held:?}");
    }
}

#[tokio::test]
async fn what_is_passed_over_in_a_zip_may_not_grow_without_bound_either() {
    let zeros = vec![0; 12 << 20];
    let zip = zip(&[("__MACOSX/._people.csv", &zeros), ("people.csv", CSV)], deflated());
    let (rows, fault) = read_pieces("all.zip", &zip, 1_000, Options::default()).await;
    assert!(rows.is_empty());
    let fault = fault.expect("it is no people's data").to_string();
    assert!(fault.contains("compressed more than 250 times"), "{fault}");
}

#[tokio::test]
async fn blanks_before_the_first_object_do_not_make_lines_a_csv() {
    let file = format!("\u{feff}{}{{\"id\":1}}\n", "\n".repeat(20));
    assert_eq!(
        read("people", file.as_bytes(), Options::default()).await,
        good(&["{\"id\":1}"])
    );
}

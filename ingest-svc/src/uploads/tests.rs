use tempfile::TempDir;
use tokio::io::AsyncReadExt;

use super::*;

const ID: &str = "u1";

fn account() -> AccountNumber {
    AccountNumber::new(7).unwrap()
}

fn uploads() -> (TempDir, Uploads) {
    let folder = TempDir::new().unwrap();
    let uploads = Uploads::open(&format!("file://{}", folder.path().display())).unwrap();
    (folder, uploads)
}

async fn append(uploads: &Uploads, offset: u64, bytes: &'static str) -> Appended {
    uploads.append(account(), ID, offset, bytes.into()).await.unwrap()
}

async fn size(uploads: &Uploads) -> u64 {
    uploads.size_so_far(account(), ID).await.unwrap()
}

#[tokio::test]
async fn parts_are_one_file_up_to_the_first_gap() {
    let (_folder, uploads) = uploads();
    assert_eq!(size(&uploads).await, 0);
    for (offset, bytes) in [(0, "ab"), (2, "cde"), (100, "x")] {
        assert_eq!(append(&uploads, offset, bytes).await, Appended::Kept);
    }
    assert_eq!(size(&uploads).await, 5);
    let mut text = String::new();
    uploads
        .read(account(), ID)
        .await
        .unwrap()
        .read_to_string(&mut text)
        .await
        .unwrap();
    assert_eq!(text, "abcde");
}

#[tokio::test]
async fn of_two_parts_at_one_offset_the_first_stays() {
    let (_folder, uploads) = uploads();
    assert_eq!(append(&uploads, 0, "ab").await, Appended::Kept);
    assert_eq!(append(&uploads, 0, "other").await, Appended::Taken);
    assert_eq!(size(&uploads).await, 2);
}

#[tokio::test]
async fn the_end_of_a_long_upload_is_found_without_its_beginning() {
    let (_folder, uploads) = uploads();
    assert!(uploads.ends_at(account(), ID, 0).await.unwrap());
    // Only the last part is there: who lists from the beginning on finds a gap.
    let start = 10 * PART_BYTES as u64;
    append(&uploads, start, "abc").await;
    assert!(uploads.ends_at(account(), ID, start + 3).await.unwrap());
    for other in [0, 1, start, start + 2, start + 4, start + 10 * PART_BYTES as u64] {
        assert!(!uploads.ends_at(account(), ID, other).await.unwrap(), "{other}");
    }
}

#[tokio::test]
async fn what_was_removed_is_gone_and_takes_nothing_more() {
    let (_folder, uploads) = uploads();
    append(&uploads, 0, "ab").await;
    uploads.remove(account(), ID).await.unwrap();
    uploads.remove(account(), ID).await.unwrap();
    let removed = Err(super::removed());
    assert_eq!(uploads.size_so_far(account(), ID).await.map(drop), removed);
    assert_eq!(uploads.ends_at(account(), ID, 0).await.map(drop), removed);
}

#[tokio::test]
async fn only_what_nobody_needs_is_swept_and_only_after_a_week() {
    let (_folder, uploads) = uploads();
    append(&uploads, 0, "ab").await;
    let now = Timestamp::now();
    let later = now + jiff::SignedDuration::from_hours(7 * 24 + 1);
    for (now, wanted, swept) in [
        (now, None, 0),
        (now, Some(5), 0),
        // It is complete.
        (later, Some(2), 0),
        (later, Some(5), 1),
    ] {
        assert_eq!(uploads.sweep(now, |_, _| wanted).await.unwrap(), swept, "{wanted:?}");
    }
    assert_eq!(size(&uploads).await, 0);
    append(&uploads, 0, "ab").await;
    assert_eq!(uploads.sweep(later, |_, _| None).await.unwrap(), 1);
}

#[test]
fn where_files_cannot_be_kept_is_told_with_the_setting() {
    for url in ["ftp://x/y", "nothing"] {
        let refused = Uploads::open(url).unwrap_err();
        assert!(refused.to_string().starts_with("imports.upload_url: "), "{refused}");
    }
}

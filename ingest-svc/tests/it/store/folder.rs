use std::os::unix::fs::symlink;
use std::path::Path;

use control::Storage;
use ingest_svc::config::Imports;
use ingest_svc::store::{Error, Store};
use tempfile::TempDir;

use super::{keys, list, read};

fn open(allowed: &Path, path: &str) -> Result<Store, Error> {
    let imports = Imports {
        folder: Some(allowed.to_owned()),
        ..Imports::default()
    };
    Store::open(&Storage::Folder { path: path.to_owned() }, None, &imports)
}

fn folder() -> TempDir {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::create_dir_all(folder.path().join("in/old")).unwrap();
    std::fs::write(folder.path().join("in/a.csv"), "id\n1\n").unwrap();
    std::fs::write(folder.path().join("in/old/b.csv"), "id\n2\n").unwrap();
    std::fs::write(folder.path().join("in/empty"), "").unwrap();
    std::fs::write(folder.path().join("secret"), "not for anybody").unwrap();
    folder
}

#[tokio::test]
async fn files_of_a_folder_are_listed_and_read_as_objects() {
    let folder = folder();
    let store = open(folder.path(), "in").unwrap();
    store.try_it().await.unwrap();
    assert_eq!(keys(&store, "").await, ["a.csv", "old/b.csv"]);
    assert_eq!(keys(&store, "ol").await, ["old/b.csv"]);
    assert_eq!(keys(&store, "old/b.csv").await, ["old/b.csv"]);
    let listed = list(&store, "a").await.unwrap().remove(0);
    assert_eq!(read(&store, &listed).await.unwrap(), "id\n1\n");
    std::fs::write(folder.path().join("in/a.csv"), "id\n22\n").unwrap();
    assert_eq!(read(&store, &listed).await, Err(Error::Changed("a.csv".to_owned())));
    std::fs::remove_file(folder.path().join("in/a.csv")).unwrap();
    assert_eq!(read(&store, &listed).await, Err(Error::Missing("a.csv".to_owned())));
}

#[tokio::test]
async fn nothing_leads_out_of_the_folder() {
    let folder = folder();
    let within = folder.path().join("in");
    symlink(folder.path().join("secret"), within.join("link")).unwrap();
    symlink(folder.path(), within.join("up")).unwrap();
    symlink(within.join("a.csv"), within.join("same")).unwrap();
    let store = open(folder.path(), "in").unwrap();
    assert_eq!(keys(&store, "").await, ["a.csv", "old/b.csv", "same"]);
    for key in ["link", "up/secret", "../secret", "/etc/hostname"] {
        let refused = store.read(key, "").await.map(drop).unwrap_err();
        assert!(matches!(&refused, Error::Setup(_)), "{key}: {refused}");
    }
    for path in ["../in", "in/../..", "/etc"] {
        assert!(matches!(open(folder.path(), path), Err(Error::Setup(_))), "{path}");
    }
    // The folder itself may be a link.
    symlink("/", folder.path().join("root")).unwrap();
    let root = open(folder.path(), "root").unwrap();
    assert!(matches!(root.try_it().await, Err(Error::Setup(_))));
    let none = open(folder.path(), "none").unwrap();
    assert!(matches!(none.try_it().await, Err(Error::Missing(_))));
    let unset = Store::open(&Storage::Folder { path: "/".to_owned() }, None, &Imports::default());
    assert!(unset.map(drop).unwrap_err().to_string().contains("imports.folder"));
}

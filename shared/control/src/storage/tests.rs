//! Storage authorizations over a map.

use secrecy::ExposeSecret;

use super::edit::{decide_rotate, decide_update};
use super::*;
use crate::account::tests::account;
use crate::authorization::tests::sealer;
use crate::record::testing::Map;

const NAME: &str = "accounts/7/storageAuthorizations/s";
const SECRET: &str = "secret-of-this-test";

fn s3() -> Storage {
    Storage::S3 {
        bucket: "b".to_owned(),
        region: "eu-central-1".to_owned(),
        access_key_id: "AKIA".to_owned(),
        endpoint: Some("https://minio.example.com".to_owned()),
    }
}

fn new(storage: Storage) -> NewStorageAuthorization {
    let secret = storage.needs_secret().then(|| SecretString::from(SECRET));
    NewStorageAuthorization {
        label: "l".to_owned(),
        description: "d".to_owned(),
        storage,
        secret,
    }
}

/// Of account 7.
fn authorization(id: &str, storage: Storage) -> StorageAuthorization {
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let new = new(storage);
    let secret = new.secret.clone();
    let built = build(account(7).number, new, Some(&sealer()), now).unwrap();
    let name = name::format_child(built.account, name::STORAGE_AUTHORIZATIONS, id);
    StorageAuthorization {
        id: id.to_owned(),
        label: format!("label of {id}"),
        sealed: secret.map(|secret| sealer().seal(&name, 1, &secret).unwrap()),
        ..built
    }
}

/// Account 7 with storage `s` and the Braze authorization `a`.
pub(crate) fn state() -> Map {
    let mut map = crate::authorization::tests::state();
    map.apply(decide_create(&map, &authorization("s", s3()))).unwrap();
    map
}

pub(crate) fn delete(map: &Map, name: &str) -> Result<(Vec<Change>, ()), Error> {
    decide_delete(map, account(7).number, name, None)
}

fn read(map: &Map, name: &str) -> StorageAuthorization {
    record::fetch(map, name).unwrap()
}

#[test]
fn each_kind_of_storage_is_read_back_and_its_secret_opens() {
    let gcs = Storage::Gcs {
        bucket: "b".to_owned(),
        endpoint: None,
    };
    let azure = Storage::Azure {
        account: "a".to_owned(),
        container: "c".to_owned(),
        endpoint: None,
    };
    let folder = Storage::Folder { path: "p".to_owned() };
    let mut map = state();
    for (id, storage) in [("t", s3()), ("u", gcs), ("v", azure), ("w", folder)] {
        let wanted = authorization(id, storage);
        map.apply(decide_create(&map, &wanted)).unwrap();
        let read = read(&map, &wanted.name());
        let secret = read.secret(&sealer()).unwrap();
        let secret = secret.as_ref().map(ExposeSecret::expose_secret);
        assert_eq!(secret, read.storage.needs_secret().then_some(SECRET));
        let revision = read.revision;
        assert_eq!(read, StorageAuthorization { revision, ..wanted });
    }
}

#[test]
fn the_secret_is_in_the_clear_neither_in_the_record_nor_in_debug_output() {
    let value = state().get(&format!("storageAuthorization/{NAME}")).unwrap().value;
    assert!(!value.windows(14).any(|window| window == b"secret-of-this"));
    assert!(!format!("{:?} {:?}", read(&state(), NAME), new(s3())).contains("secret-of-this"));
}

#[test]
fn a_secret_that_nothing_seals_is_not_kept() {
    let refused = build(account(7).number, new(s3()), None, Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(refused.to_string().contains("secrets.keys"), "{refused}");
    let folder = Storage::Folder { path: String::new() };
    assert!(build(account(7).number, new(folder), None, Timestamp::UNIX_EPOCH).is_ok());
}

#[test]
fn a_label_is_unique_in_the_account() {
    let wanted = StorageAuthorization {
        label: "label of s".to_owned(),
        ..authorization("t", s3())
    };
    let error = decide_create(&state(), &wanted).unwrap_err();
    assert!(
        matches!(&error, Error::AlreadyExists(text) if text.contains(NAME)),
        "{error}"
    );
}

#[test]
fn an_edit_changes_what_it_names_if_it_is_based_on_what_is_there() {
    let mut map = state();
    let edit = StorageSettings {
        label: Some("new".to_owned()),
        description: None,
    };
    let stale = decide_update(&map, NAME, &edit, Some(1), Timestamp::UNIX_EPOCH);
    assert!(matches!(stale, Err(Error::Stale(_))));
    map.apply(decide_update(&map, NAME, &edit, None, Timestamp::UNIX_EPOCH))
        .unwrap();
    let read = read(&map, NAME);
    assert_eq!((read.label.as_str(), read.description.as_str()), ("new", "d"));
    assert!(read.secret(&sealer()).is_ok());
}

#[test]
fn a_rotated_secret_is_the_next_with_its_access_key_and_an_old_one_does_not_open_any_more() {
    let mut map = state();
    let new = |key: Option<&str>| StorageSecret {
        secret: SecretString::from("other"),
        access_key_id: key.map(str::to_owned),
    };
    let rotate =
        |map: &Map, name: &str, key| decide_rotate(map, name, &sealer(), &new(key), None, Timestamp::UNIX_EPOCH);
    map.apply(rotate(&map, NAME, Some("AKIB"))).unwrap();
    let rotated = read(&map, NAME);
    assert_eq!(rotated.secret(&sealer()).unwrap().unwrap().expose_secret(), "other");
    assert_eq!(rotated.storage, s3().with_access_key(Some("AKIB")));
    assert_ne!(rotated.storage, s3());
    map.apply(rotate(&map, NAME, None)).unwrap();
    assert_eq!(read(&map, NAME).storage, rotated.storage, "that stays");
    let mut put_back = rotated;
    put_back.sealed.as_mut().unwrap().secret_revision = 1;
    assert!(put_back.secret(&sealer()).is_err());

    let folder = authorization("w", Storage::Folder { path: String::new() });
    map.apply(decide_create(&map, &folder)).unwrap();
    let refused = rotate(&map, &folder.name(), None);
    assert!(matches!(refused, Err(Error::FailedPrecondition(_))));
}

#[test]
fn deleting_needs_that_it_is_there_and_at_that_revision() {
    let map = state();
    let at = read(&map, NAME).revision;
    let delete = |name: &str, based_on| decide_delete(&map, account(7).number, name, based_on);
    assert!(matches!(delete(NAME, Some(at - 1)), Err(Error::Stale(_))));
    assert!(delete(NAME, Some(at)).is_ok());
    let other = "accounts/7/storageAuthorizations/x";
    assert!(matches!(delete(other, None), Err(Error::NotFound(_))));
}

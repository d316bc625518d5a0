use proto::imports::v1::storage_authorization::Storage as Wire;
use proto::imports::v1::{AzureStorage, FolderStorage, GcsStorage, S3Storage};
use tonic::Code;
use tonic_types::StatusExt;

use super::*;

const ENDPOINT: &str = "https://minio.example.com";

fn imports() -> Imports {
    Imports {
        endpoints: vec![ENDPOINT.to_owned()],
        folder: Some("/srv/imports".into()),
        ..Imports::default()
    }
}

fn s3() -> S3Storage {
    S3Storage {
        bucket: "my.bucket-1".to_owned(),
        region: "eu-central-1".to_owned(),
        access_key_id: "AKIA".to_owned(),
        endpoint: format!("{ENDPOINT}/"),
    }
}

fn parsed(storage: Wire, secret: &str) -> Result<NewStorageAuthorization, Status> {
    let authorization = StorageAuthorization {
        label: "Files".to_owned(),
        storage: Some(storage),
        ..StorageAuthorization::default()
    };
    parse(authorization, secret.into(), &imports())
}

fn fields(refused: &Status) -> Vec<String> {
    let details = refused.get_details_bad_request().unwrap();
    details.field_violations.into_iter().map(|found| found.field).collect()
}

fn wrong(storage: Wire, secret: &str) -> Vec<String> {
    let refused = parsed(storage, secret).unwrap_err();
    let fields = fields(&refused).into_iter();
    fields
        .map(|field| field.trim_start_matches("storage_authorization.").to_owned())
        .collect()
}

fn folder(path: &str) -> Wire {
    Wire::Folder(FolderStorage { path: path.to_owned() })
}

#[test]
fn each_kind_is_taken_with_its_secret_and_a_folder_without() {
    let gcs = Wire::Gcs(GcsStorage {
        bucket: "bucket".to_owned(),
        endpoint: String::new(),
    });
    let azure = Wire::Azure(AzureStorage {
        account: "account".to_owned(),
        container: "$web".to_owned(),
        endpoint: String::new(),
    });
    for storage in [Wire::S3(s3()), gcs, azure] {
        assert!(parsed(storage.clone(), "x").unwrap().secret.is_some());
        assert_eq!(wrong(storage, " "), ["secret"]);
    }
    for path in ["", "daily", "daily/users"] {
        assert!(parsed(folder(path), "").unwrap().secret.is_none(), "{path}");
    }
    assert_eq!(wrong(folder("daily"), "x"), ["secret"]);
}

#[test]
fn everything_wrong_is_told_at_once_and_nothing_of_the_secret() {
    let bad = S3Storage {
        bucket: "b/../c".to_owned(),
        region: "x.example.com/".to_owned(),
        access_key_id: String::new(),
        endpoint: "https://elsewhere.example.com".to_owned(),
    };
    let secret = "s3cret".repeat(3_000);
    let refused = parsed(Wire::S3(bad), &secret).unwrap_err();
    assert!(!refused.message().contains("s3cret"), "{}", refused.message());
    let told =
        ["bucket", "region", "access_key_id", "endpoint"].map(|field| format!("storage_authorization.s3.{field}"));
    let told: Vec<_> = told.into_iter().chain(["secret".to_owned()]).collect();
    assert_eq!(fields(&refused), told);
    let nothing = parse(StorageAuthorization::default(), "".into(), &imports()).unwrap_err();
    assert_eq!(
        fields(&nothing),
        ["storage_authorization.label", "storage_authorization"]
    );
}

#[test]
fn a_name_leads_to_no_other_host() {
    for (account, container) in [
        ("a.example.com/x", "cont"),
        ("a#b", "cont"),
        ("acc", "../other"),
        ("acc", "c?d"),
    ] {
        let azure = AzureStorage {
            account: account.to_owned(),
            container: container.to_owned(),
            endpoint: String::new(),
        };
        assert_eq!(wrong(Wire::Azure(azure), "x").len(), 1, "{account} {container}");
    }
    for endpoint in [
        "https://minio.example.com.evil.org",
        "http://minio.example.com",
        "https://minio.example.com/x",
    ] {
        let storage = S3Storage {
            endpoint: endpoint.to_owned(),
            ..s3()
        };
        assert_eq!(wrong(Wire::S3(storage), "x"), ["s3.endpoint"], "{endpoint}");
    }
}

#[test]
fn a_path_stays_below_the_folder_of_the_installation() {
    for path in ["..", "a/../../b", "/etc", "a\\..\\b", "a\0b", "."] {
        assert_eq!(wrong(folder(path), ""), ["folder.path"], "{path:?}");
    }
    let authorization = StorageAuthorization {
        label: "Files".to_owned(),
        storage: Some(folder("daily")),
        ..StorageAuthorization::default()
    };
    let refused = parse(authorization, "".into(), &Imports::default()).unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("imports.folder"), "{refused}");
}

#[test]
fn a_secret_takes_anothers_place_with_its_access_key_at_s3_alone() {
    let s3 = Storage::from_wire(Wire::S3(s3()));
    let new = rotation(&s3, "x".into(), "AKIB".to_owned()).unwrap();
    assert_eq!(new.access_key_id.as_deref(), Some("AKIB"));
    assert_eq!(rotation(&s3, "x".into(), String::new()).unwrap().access_key_id, None);
    let refused = rotation(&s3, "".into(), "a b".to_owned()).unwrap_err();
    assert_eq!(fields(&refused), ["secret", "access_key_id"]);
    let gcs = Storage::Gcs {
        bucket: "bucket".to_owned(),
        endpoint: None,
    };
    assert_eq!(
        fields(&rotation(&gcs, "x".into(), "AKIB".to_owned()).unwrap_err()),
        ["access_key_id"]
    );
}

#[test]
fn an_edit_changes_label_and_description_and_says_so() {
    let new = StorageAuthorization {
        label: "New".to_owned(),
        ..StorageAuthorization::default()
    };
    let edited = |paths: &[&str]| {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        edit(&new, &FieldMask { paths })
    };
    let label = Some("New".to_owned());
    let expected = StorageSettings {
        label,
        description: None,
    };
    assert_eq!(edited(&[]).unwrap(), expected);
    assert_eq!(edited(&["description"]).unwrap().description, Some(String::new()));
    for path in ["*", "s3.bucket", "storage"] {
        let message = edited(&[path]).unwrap_err().message().to_owned();
        assert!(message.contains("label, description"), "{message}");
    }
}

//! Storage authorizations over gRPC: a storage is tried before its credentials are kept.

use ingest_svc::config::Config;
use kafka::testing::InProcessBroker;
use model::{AccountNumber, Role};
use proto::imports::v1 as wire;
use proto::imports::v1::storage_authorization::Storage;
use proto::imports::v1::storage_authorization_service_client::StorageAuthorizationServiceClient;
use runtime::grpc::Channel;
use tempfile::TempDir;
use tonic::{Code, Status};

use crate::grpc::channel;
use crate::harness::Service;
use crate::harness::imports::KEYS;
use crate::harness::s3::S3;

pub(super) type Client = StorageAuthorizationServiceClient<Channel>;

/// A service with a folder that jobs may read, and an account.
pub(super) struct Allowed {
    pub(super) service: Service,
    pub(super) account: AccountNumber,
    pub(super) folder: TempDir,
    _broker: InProcessBroker,
}

impl Allowed {
    pub(super) async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let allowed = folder.path().canonicalize().unwrap();
        let (broker, service) = Service::alone(|config| {
            config.imports.folder = Some(allowed);
            config.secrets.keys = KEYS.into();
            change(config);
        })
        .await;
        let account = service.account().await;
        Self {
            service,
            account,
            folder,
            _broker: broker,
        }
    }

    pub(super) async fn channel(&self, role: Role) -> Channel {
        let token = self.service.token(self.account, role, None).await;
        channel(&self.service, Some(&token)).await
    }

    pub(super) async fn storages(&self) -> Client {
        Client::new(self.channel(Role::DataManager).await)
    }

    pub(super) fn parent(&self) -> String {
        format!("accounts/{}", self.account)
    }

    /// A storage authorization of this path below the folder.
    pub(super) async fn folder(&self, client: &mut Client, path: &str) -> Result<wire::StorageAuthorization, Status> {
        let path = path.to_owned();
        self.create(client, Storage::Folder(wire::FolderStorage { path }), "")
            .await
    }

    pub(super) async fn create(
        &self,
        client: &mut Client,
        storage: Storage,
        secret: &str,
    ) -> Result<wire::StorageAuthorization, Status> {
        let request = wire::CreateStorageAuthorizationRequest {
            parent: self.parent(),
            storage_authorization: Some(wire::StorageAuthorization {
                label: "Files".to_owned(),
                storage: Some(storage),
                ..wire::StorageAuthorization::default()
            }),
            secret: secret.to_owned(),
        };
        let created = client.create_storage_authorization(request).await?;
        Ok(created.into_inner().storage_authorization.unwrap())
    }
}

fn bucket(endpoint: &str) -> wire::S3Storage {
    wire::S3Storage {
        bucket: "files".to_owned(),
        region: "us-east-1".to_owned(),
        access_key_id: "id-1".to_owned(),
        endpoint: endpoint.to_owned(),
    }
}

fn s3(endpoint: &str) -> Storage {
    Storage::S3(bucket(endpoint))
}

async fn problem(client: &mut Client, name: &str) -> String {
    let name = name.to_owned();
    let request = wire::CheckStorageAuthorizationRequest { name };
    client
        .check_storage_authorization(request)
        .await
        .unwrap()
        .into_inner()
        .problem
}

#[tokio::test]
async fn a_storage_that_cannot_be_listed_is_not_kept_and_one_that_can_be_is_until_it_cannot() {
    let allowed = Allowed::start(|_| ()).await;
    let mut client = allowed.storages().await;
    let refused = allowed.folder(&mut client, "daily").await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    let listed = client.list_storage_authorizations(wire::ListStorageAuthorizationsRequest {
        parent: allowed.parent(),
        ..Default::default()
    });
    assert!(listed.await.unwrap().into_inner().storage_authorizations.is_empty());

    let daily = allowed.folder.path().join("daily");
    std::fs::create_dir(&daily).unwrap();
    let created = allowed.folder(&mut client, "daily").await.unwrap();
    assert_eq!(problem(&mut client, &created.name).await, "");
    std::fs::remove_dir(&daily).unwrap();
    assert_ne!(problem(&mut client, &created.name).await, "");
    allowed.service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn a_storage_that_does_not_answer_is_unavailable() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let allowed = Allowed::start(|config| config.imports.endpoints = vec![endpoint.clone()]).await;
    let mut client = allowed.storages().await;
    let away = allowed
        .create(&mut client, s3(&endpoint), "s3cret-1")
        .await
        .unwrap_err();
    assert_eq!(away.code(), Code::Unavailable, "{away}");
    assert!(!away.message().contains("s3cret"), "{away}");
    let other = allowed.create(&mut client, s3("http://127.0.0.1:1"), "s3cret-1").await;
    let other = other.unwrap_err();
    assert_eq!(other.code(), Code::InvalidArgument, "{other}");
    assert!(other.message().contains("imports.endpoints"), "{other}");
    allowed.service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn a_new_secret_is_tried_before_it_takes_the_old_ones_place() {
    let s3 = S3::start().await;
    let allowed = Allowed::start(|config| config.imports.endpoints = vec![s3.endpoint.clone()]).await;
    let mut client = allowed.storages().await;
    let wrong = allowed.create(&mut client, self::s3(&s3.endpoint), "wrong-1").await;
    let wrong = wrong.unwrap_err();
    assert!(!wrong.message().contains("wrong-1"), "{wrong}");
    assert_eq!(wrong.code(), Code::FailedPrecondition, "{wrong}");
    let created = allowed.create(&mut client, self::s3(&s3.endpoint), "secret-1").await;
    let created = created.unwrap();
    assert_eq!(problem(&mut client, &created.name).await, "");
    let rotate = |access_key_id: &str, secret: &str, revision| wire::RotateStorageSecretRequest {
        name: created.name.clone(),
        secret: secret.to_owned(),
        access_key_id: access_key_id.to_owned(),
        revision,
    };
    for (key, secret) in [("", "wrong-2"), ("", "secret-2"), ("id-2", "secret-1")] {
        let refused = client.rotate_storage_secret(rotate(key, secret, 0)).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        assert!(!refused.message().contains(secret), "{refused}");
    }
    assert_eq!(problem(&mut client, &created.name).await, "");
    let rotated = client
        .rotate_storage_secret(rotate("id-2", "secret-2", created.revision))
        .await;
    let rotated = rotated.unwrap().into_inner().storage_authorization.unwrap();
    assert_eq!(
        rotated.storage,
        Some(Storage::S3(wire::S3Storage {
            access_key_id: "id-2".to_owned(),
            ..bucket(&s3.endpoint)
        }))
    );
    assert_eq!(problem(&mut client, &created.name).await, "");
    let stale = client
        .rotate_storage_secret(rotate("", "secret-2", created.revision))
        .await;
    assert_eq!(stale.unwrap_err().code(), Code::Aborted);
    allowed.service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn without_keys_no_secret_is_taken_and_the_setting_is_named() {
    let allowed = Allowed::start(|config| config.secrets.keys = "".into()).await;
    let mut client = allowed.storages().await;
    let refused = allowed.create(&mut client, s3(""), "s3cret").await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(refused.message().contains("secrets.keys"), "{refused}");
    allowed.folder(&mut client, "").await.unwrap();
    allowed.service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn an_authorization_is_edited_and_deleted_at_the_revision_that_was_read() {
    let allowed = Allowed::start(|_| ()).await;
    let mut client = allowed.storages().await;
    let created = allowed.folder(&mut client, "").await.unwrap();
    let taken = allowed.folder(&mut client, "").await.unwrap_err();
    assert_eq!(taken.code(), Code::AlreadyExists, "{taken}");
    let update = |revision| wire::UpdateStorageAuthorizationRequest {
        storage_authorization: Some(wire::StorageAuthorization {
            description: "new".to_owned(),
            revision,
            ..created.clone()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["description".to_owned()],
        }),
    };
    let updated = client.update_storage_authorization(update(created.revision)).await;
    let updated = updated.unwrap().into_inner().storage_authorization.unwrap();
    assert_eq!((updated.label.as_str(), updated.description.as_str()), ("Files", "new"));
    let stale = client.update_storage_authorization(update(created.revision)).await;
    assert_eq!(stale.unwrap_err().code(), Code::Aborted);
    let get = wire::GetStorageAuthorizationRequest {
        name: created.name.clone(),
    };
    let got = client.get_storage_authorization(get).await.unwrap().into_inner();
    assert_eq!(got.storage_authorization, Some(updated.clone()));
    let rotate = wire::RotateStorageSecretRequest {
        name: created.name.clone(),
        secret: "x".to_owned(),
        ..Default::default()
    };
    let folder = client.rotate_storage_secret(rotate).await.unwrap_err();
    assert_eq!(folder.code(), Code::InvalidArgument, "{folder}");
    let delete = |revision| wire::DeleteStorageAuthorizationRequest {
        name: created.name.clone(),
        revision,
    };
    let stale = client.delete_storage_authorization(delete(created.revision)).await;
    assert_eq!(stale.unwrap_err().code(), Code::Aborted);
    let deleted = client.delete_storage_authorization(delete(updated.revision)).await;
    deleted.unwrap();
    allowed.service.lifecycle.drain("the test is over");
}

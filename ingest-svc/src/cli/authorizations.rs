//! `authorizations`: credentials for object storage.

mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use model::{AccountNumber, name};
use prost_types::FieldMask;
use proto::imports::v1 as wire;
use proto::imports::v1::storage_authorization::Storage;
use proto::imports::v1::storage_authorization_service_client::StorageAuthorizationServiceClient;
use runtime::exit::Failure;
use runtime::grpc::Channel;
use runtime::stdout;
use secrecy::ExposeSecret;

use super::{Connection, refused};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Store credentials for object storage, sealed, under a label
    ///
    /// The storage is listed with them first; what it refuses is not stored. A folder has no secret.
    #[command(subcommand)]
    #[command(after_long_help = examples!("authorizations create folder --account 1234 \\\n      --label Here --path users"))]
    Create(Create),
    /// Show credentials; their secret is never shown
    ///
    /// Of which storage they are, and when they were changed.
    #[command(after_long_help = examples!("authorizations get accounts/1234/storageAuthorizations/a1b2c3"))]
    Get(One),
    /// List the credentials for object storage of an account
    ///
    /// Those for Braze are listed by export-svc.
    #[command(after_long_help = examples!("authorizations list --account 1234"))]
    List {
        /// Number of the account
        #[arg(long, value_name = "NUMBER")]
        account: AccountNumber,
    },
    /// Change label or description
    ///
    /// What is not given stays.
    #[command(after_long_help = examples!(
        "authorizations update accounts/1234/storageAuthorizations/a1b2c3 \\\n      --label Exports",
    ))]
    Update {
        #[command(flatten)]
        moved: Moved,
        /// What people call it; unique in the account
        #[arg(long)]
        label: Option<String>,
        /// For people
        #[arg(long)]
        description: Option<String>,
    },
    /// Replace the secret, which is tried first
    ///
    /// Jobs use the new one at once.
    #[command(after_long_help = examples!(
        "authorizations rotate-secret \\\n      accounts/1234/storageAuthorizations/a1b2c3 --secret-file key.txt",
    ))]
    RotateSecret {
        #[command(flatten)]
        moved: Moved,
        /// Of S3: the access key that the new secret belongs to, unless that stays
        #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
        access_key_id: String,
        /// File that holds the secret, or - for stdin
        #[arg(long, value_name = "FILE")]
        secret_file: PathBuf,
    },
    /// List the storage now
    ///
    /// To see why a job sleeps, or after a permission was mended. Exit code 1 if the storage refuses.
    #[command(after_long_help = examples!("authorizations check accounts/1234/storageAuthorizations/a1b2c3"))]
    Check(One),
    /// Delete credentials
    ///
    /// Refused while import jobs use them, with their names; kill or delete these before.
    #[command(after_long_help = examples!("authorizations delete accounts/1234/storageAuthorizations/a1b2c3"))]
    Delete(Moved),
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// accounts/{number}/storageAuthorizations/{id}
    name: String,
}

#[derive(Debug, Args)]
pub(super) struct Moved {
    #[command(flatten)]
    one: One,
    /// Only if this is still its revision
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    revision: u64,
}

#[derive(Debug, Subcommand)]
pub(super) enum Create {
    /// Amazon S3, or what speaks its protocol
    ///
    /// Needs to list the bucket, and to get its objects.
    #[command(after_long_help = examples!(
        "authorizations create s3 --account 1234 --label Exports \\\n      --bucket exports --region eu-central-1 --access-key-id AKIA5EXAMPLE \\\n      --secret-file key.txt",
    ))]
    S3 {
        #[command(flatten)]
        label: Label,
        #[arg(long)]
        /// The bucket
        bucket: String,
        /// Such as eu-central-1
        #[arg(long)]
        region: String,
        /// Which key the secret belongs to
        #[arg(long, value_name = "ID")]
        access_key_id: String,
        /// Of what is not Amazon's: one that the installation allows
        #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
        endpoint: String,
        /// File that holds the secret access key, or - for stdin
        #[arg(long, value_name = "FILE")]
        secret_file: PathBuf,
    },
    /// Google Cloud Storage
    ///
    /// With a service account that may list the bucket and read its objects.
    #[command(after_long_help = examples!(
        "authorizations create gcs --account 1234 --label Exports \\\n      --bucket exports --secret-file key.json",
    ))]
    Gcs {
        #[command(flatten)]
        label: Label,
        /// The bucket
        #[arg(long)]
        bucket: String,
        /// Of what is not Google's: one that the installation allows
        #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
        endpoint: String,
        /// File that holds the JSON of the service account's key, or - for stdin
        #[arg(long, value_name = "FILE")]
        secret_file: PathBuf,
    },
    /// Azure Blob Storage
    ///
    /// With the key of the storage account.
    #[command(after_long_help = examples!(
        "authorizations create azure --account 1234 --label Exports \\\n      --storage-account shop --container exports --secret-file key.txt",
    ))]
    Azure {
        #[command(flatten)]
        label: Label,
        /// The storage account
        #[arg(long, value_name = "NAME")]
        storage_account: String,
        /// The container
        #[arg(long)]
        container: String,
        /// Of what is not Microsoft's: one that the installation allows
        #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
        endpoint: String,
        /// File that holds the account's key, or - for stdin
        #[arg(long, value_name = "FILE")]
        secret_file: PathBuf,
    },
    /// A folder that every replica has
    ///
    /// Below the one that the installation allows (imports.folder).
    #[command(after_long_help = examples!("authorizations create folder --account 1234 \\\n      --label Here --path users"))]
    Folder {
        #[command(flatten)]
        label: Label,
        /// Below the folder that the installation allows, such as daily/users
        #[arg(long)]
        path: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Label {
    /// Number of the account
    #[arg(long, value_name = "NUMBER")]
    account: AccountNumber,
    /// What people call it; unique in the account
    #[arg(long)]
    label: String,
    /// For people
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
}

impl Create {
    fn into_request(self) -> Result<wire::CreateStorageAuthorizationRequest, Failure> {
        let (label, storage, secret_file) = match self {
            Self::S3 {
                label,
                bucket,
                region,
                access_key_id,
                endpoint,
                secret_file,
            } => {
                let storage = wire::S3Storage {
                    bucket,
                    region,
                    access_key_id,
                    endpoint,
                };
                (label, Storage::S3(storage), Some(secret_file))
            }
            Self::Gcs {
                label,
                bucket,
                endpoint,
                secret_file,
            } => {
                let storage = wire::GcsStorage { bucket, endpoint };
                (label, Storage::Gcs(storage), Some(secret_file))
            }
            Self::Azure {
                label,
                storage_account: account,
                container,
                endpoint,
                secret_file,
            } => {
                let storage = wire::AzureStorage {
                    account,
                    container,
                    endpoint,
                };
                (label, Storage::Azure(storage), Some(secret_file))
            }
            Self::Folder { label, path } => (label, Storage::Folder(wire::FolderStorage { path }), None),
        };
        Ok(wire::CreateStorageAuthorizationRequest {
            parent: name::format_account(label.account),
            storage_authorization: Some(wire::StorageAuthorization {
                label: label.label,
                description: label.description,
                storage: Some(storage),
                ..Default::default()
            }),
            secret: secret_file.map(|file| secret(&file)).transpose()?.unwrap_or_default(),
        })
    }
}

fn secret(file: &std::path::Path) -> Result<String, Failure> {
    let secret = runtime::secrets::read(file).map_err(Failure::precondition)?;
    Ok(secret.expose_secret().to_owned())
}

pub(super) async fn run(connection: &Connection, command: Command) -> Result<(), Failure> {
    let mut client = StorageAuthorizationServiceClient::new(connection.open().await?);
    let authorization = match command {
        Command::Create(create) => {
            let answer = client.create_storage_authorization(create.into_request()?).await;
            answer.map_err(refused)?.into_inner().storage_authorization
        }
        Command::Get(One { name }) => {
            let request = wire::GetStorageAuthorizationRequest { name };
            let answer = client.get_storage_authorization(request).await;
            answer.map_err(refused)?.into_inner().storage_authorization
        }
        Command::List { account } => return list(&mut client, account).await,
        Command::Update {
            moved,
            label,
            description,
        } => {
            let given = [("label", label.is_some()), ("description", description.is_some())];
            let paths = given.iter().filter(|(_, given)| *given);
            let request = wire::UpdateStorageAuthorizationRequest {
                update_mask: Some(FieldMask {
                    paths: paths.map(|(path, _)| (*path).to_owned()).collect(),
                }),
                storage_authorization: Some(wire::StorageAuthorization {
                    name: moved.one.name,
                    revision: moved.revision,
                    label: label.unwrap_or_default(),
                    description: description.unwrap_or_default(),
                    ..Default::default()
                }),
            };
            let answer = client.update_storage_authorization(request).await;
            answer.map_err(refused)?.into_inner().storage_authorization
        }
        Command::RotateSecret {
            moved,
            access_key_id,
            secret_file,
        } => {
            let request = wire::RotateStorageSecretRequest {
                name: moved.one.name,
                secret: secret(&secret_file)?,
                access_key_id,
                revision: moved.revision,
            };
            let answer = client.rotate_storage_secret(request).await;
            answer.map_err(refused)?.into_inner().storage_authorization
        }
        Command::Check(One { name }) => {
            let request = wire::CheckStorageAuthorizationRequest { name };
            let answer = client.check_storage_authorization(request).await;
            let problem = answer.map_err(refused)?.into_inner().problem;
            if !problem.is_empty() {
                return Err(Failure::call(anyhow::Error::msg(problem)));
            }
            stdout::line("it can be listed");
            return Ok(());
        }
        Command::Delete(Moved { one, revision }) => {
            let request = wire::DeleteStorageAuthorizationRequest {
                name: one.name.clone(),
                revision,
            };
            client.delete_storage_authorization(request).await.map_err(refused)?;
            stdout::line(format_args!("deleted {}", one.name));
            return Ok(());
        }
    };
    stdout::line(show::authorization(&authorization.unwrap_or_default()));
    Ok(())
}

async fn list(client: &mut StorageAuthorizationServiceClient<Channel>, account: AccountNumber) -> Result<(), Failure> {
    let mut page_token = String::new();
    loop {
        let request = wire::ListStorageAuthorizationsRequest {
            parent: name::format_account(account),
            page_size: 0,
            page_token,
        };
        let answer = client.list_storage_authorizations(request).await;
        let page = answer.map_err(refused)?.into_inner();
        let authorizations = page.storage_authorizations.iter();
        authorizations.for_each(|authorization| stdout::line(show::authorization(authorization)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}

//! Resources that people name by label: listed page by page, and picked from the list.

use anyhow::anyhow;
use clap::Args;
use model::{AccountNumber, name};
use runtime::exit::Failure;
use runtime::grpc::Channel;
use tonic::Status;

use super::output::Show;
use super::{Remote, refused};

/// A resource of an account, with a label.
pub(super) trait Resource: Sized {
    /// What people call the kind.
    const KIND: &'static str;
    /// Its name in full.
    fn name(&self) -> &str;
    /// What people call it.
    fn label(&self) -> &str;
    /// One page of those below `parent`, and the token of the next one, empty after the last.
    async fn page(channel: &Channel, parent: &str, page_token: String) -> Result<(Vec<Self>, String), Status>;
}

/// Argument of a command about one resource.
#[derive(Debug, Args)]
pub(super) struct One {
    /// Its name in full, or with --account its label or the last part of its name.
    #[arg(value_name = "NAME")]
    wanted: String,
    /// Number of the account; not needed with a name in full.
    #[arg(long, value_name = "NUMBER")]
    account: Option<AccountNumber>,
    #[command(flatten)]
    pub(super) remote: Remote,
}

impl One {
    /// The service, and the full name there.
    pub(super) async fn find<T: Resource>(&self) -> Result<(Channel, String), Failure> {
        let channel = self.remote.connect().await?;
        let name = resolve::<T>(&channel, self.account, &self.wanted).await?;
        Ok((channel, name))
    }

    /// Prints what the service answered.
    pub(super) fn show(&self, answered: Option<impl Show + Default>) {
        self.remote.output.one(&answered.unwrap_or_default());
    }
}

/// Arguments of a command that changes a resource and needs no others.
#[derive(Debug, Args)]
pub(super) struct Moved {
    #[command(flatten)]
    pub(super) one: One,
    /// Only if this is still its revision.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub(super) revision: u64,
}

/// Every resource below `parent`.
pub(super) async fn all<T: Resource>(channel: &Channel, parent: &str) -> Result<Vec<T>, Failure> {
    every_page(async |page_token| T::page(channel, parent, page_token).await).await
}

/// Asks for pages, by their tokens, until there is none left.
pub(super) async fn every_page<T>(
    mut ask: impl AsyncFnMut(String) -> Result<(Vec<T>, String), Status>,
) -> Result<Vec<T>, Failure> {
    let (mut items, mut token) = (Vec::new(), String::new());
    loop {
        let (page, next) = ask(token).await.map_err(refused)?;
        items.extend(page);
        if next.is_empty() {
            return Ok(items);
        }
        token = next;
    }
}

/// The full name of a resource that was given in full, or by label or last part within an account.
pub(super) async fn resolve<T: Resource>(
    channel: &Channel,
    account: Option<AccountNumber>,
    wanted: &str,
) -> Result<String, Failure> {
    if wanted.starts_with("accounts/") {
        return Ok(wanted.to_owned());
    }
    let Some(account) = account else {
        return Err(Failure::call(anyhow!(
            "say which account with --account, or give the name in full"
        )));
    };
    let parent = name::format_account(account);
    let known = all::<T>(channel, &parent).await?;
    pick(&known, wanted).map(|item| item.name().to_owned()).ok_or_else(|| {
        let labels: Vec<String> = known.iter().map(|item| format!("\"{}\"", item.label())).collect();
        let labels = if labels.is_empty() {
            "none".to_owned()
        } else {
            labels.join(", ")
        };
        Failure::call(anyhow!("{parent} has no {} \"{wanted}\"; it has {labels}", T::KIND))
    })
}

/// One resource of a list, by its label or the last part of its name.
fn pick<'a, T: Resource>(items: &'a [T], wanted: &str) -> Option<&'a T> {
    let by_label = items.iter().find(|item| item.label() == wanted);
    by_label.or_else(|| items.iter().find(|item| item.name().rsplit('/').next() == Some(wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(&'static str, &'static str);

    impl Resource for Thing {
        const KIND: &'static str = "thing";

        fn name(&self) -> &str {
            self.0
        }

        fn label(&self) -> &str {
            self.1
        }

        async fn page(_: &Channel, _: &str, _: String) -> Result<(Vec<Self>, String), Status> {
            Ok((Vec::new(), String::new()))
        }
    }

    #[test]
    fn a_resource_is_picked_by_label_then_by_the_last_part_of_its_name() {
        let items = [Thing("accounts/1/things/a", "b"), Thing("accounts/1/things/b", "Sim")];
        let picked = |wanted| pick(&items, wanted).map(|item| item.0);
        assert_eq!(picked("Sim"), Some("accounts/1/things/b"));
        assert_eq!(picked("b"), Some("accounts/1/things/a"), "a label goes before a name");
        assert_eq!(picked("a"), Some("accounts/1/things/a"));
        assert_eq!(picked("c"), None);
    }
}

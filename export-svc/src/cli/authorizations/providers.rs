//! `authorizations providers`.

use proto::authorization::v1 as wire;
use proto::authorization::v1::authorization_service_client::AuthorizationServiceClient;
use runtime::exit::Failure;
use serde_json::{Value, json};

use crate::cli::output::Show;
use crate::cli::{Remote, refused};

/// A field of a provider's form.
struct Row {
    provider: String,
    method: String,
    field: wire::FormField,
}

impl Row {
    fn control(&self) -> String {
        let name = self.field.control().as_str_name();
        name.trim_start_matches("FORM_CONTROL_").to_lowercase()
    }
}

impl Show for Row {
    const COLUMNS: &'static [&'static str] = &["PROVIDER", "METHOD", "FIELD", "LABEL", "CONTROL", "NEEDED", "HELP"];

    fn row(&self) -> Vec<String> {
        let field = &self.field;
        vec![
            self.provider.clone(),
            self.method.clone(),
            field.path.clone(),
            field.label.clone(),
            self.control(),
            if field.optional { "no" } else { "yes" }.to_owned(),
            field.help.clone(),
        ]
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let field = &self.field;
        vec![
            ("provider", json!(self.provider)),
            ("method", json!(self.method)),
            ("path", json!(field.path)),
            ("label", json!(field.label)),
            ("help", json!(field.help)),
            ("control", json!(self.control())),
            ("order", json!(field.order)),
            ("optional", json!(field.optional)),
            ("options", json!(field.options)),
        ]
    }
}

pub(super) async fn show(remote: &Remote) -> Result<(), Failure> {
    let mut client = AuthorizationServiceClient::new(remote.connect().await?);
    let answer = client.list_providers(wire::ListProvidersRequest {}).await;
    let mut rows = Vec::new();
    for provider in answer.map_err(refused)?.into_inner().providers {
        for method in provider.methods {
            rows.extend(method.fields.into_iter().map(|field| Row {
                provider: provider.provider.clone(),
                method: method.method.clone(),
                field,
            }));
        }
    }
    remote.output.list(&rows);
    Ok(())
}

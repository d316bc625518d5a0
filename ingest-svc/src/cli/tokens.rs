//! `tokens create | get | list | delete`.

use clap::{Subcommand, ValueEnum};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use model::{AccountNumber, Role, name};
use proto::apitoken::v1 as wire;
use proto::apitoken::v1::api_token_service_client::ApiTokenServiceClient;
use runtime::exit::Failure;
use serde_json::json;

use super::{Connection, refused};

/// The body of the webhook in Braze's composer: the twelve fields that the mapping of `braze_users` reads, a Liquid tag each.
/// `default` turns what a user does not have into an empty string, which counts as unknown here.
const LIQUID_BODY: &str = r#"{
  "braze_id": "{{${braze_id}}}",
  "email": "{{${email_address} | default: ''}}",
  "phone_number": "{{${phone_number} | default: ''}}",
  "first_name": "{{${first_name} | default: ''}}",
  "last_name": "{{${last_name} | default: ''}}",
  "gender": "{{${gender} | default: ''}}",
  "date_of_birth": "{{${date_of_birth} | default: ''}}",
  "language": "{{${language} | default: ''}}",
  "time_zone": "{{${time_zone} | default: ''}}",
  "city": "{{${city} | default: ''}}",
  "country": "{{${country} | default: ''}}",
  "twitter_handle": "{{${twitter_handle} | default: ''}}"
}"#;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a token; it is shown once, with what to paste into Braze
    Create {
        /// Number of the account
        #[arg(long, value_name = "NUMBER")]
        account: AccountNumber,
        /// What the token may do; repeat for several: admin, data_manager, data_write, observer
        #[arg(long = "role", required = true, value_name = "ROLE")]
        roles: Vec<Role>,
        /// A name for people
        #[arg(long, default_value = "")]
        label: String,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
        /// For how long it is good, such as 7d, 30d or 12h; without it, for ever
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires: Option<SignedDuration>,
        /// What to print
        #[arg(long, value_enum, default_value_t)]
        output: CreateOutput,
    },
    /// Show one token, without its secret
    Get {
        /// accounts/{number}/apiTokens/{id}
        name: String,
    },
    /// Show the tokens of an account, without their secrets
    List {
        /// Number of the account
        #[arg(long, value_name = "NUMBER")]
        account: AccountNumber,
    },
    /// Revoke a token, everywhere within about a second
    Delete {
        /// accounts/{number}/apiTokens/{id}
        name: String,
    },
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(super) enum CreateOutput {
    /// For people: the token, and everything to paste into Braze
    #[default]
    Text,
    /// The same as one JSON object
    Json,
    /// The token and nothing else
    Token,
}

fn duration(text: &str) -> Result<SignedDuration, String> {
    let span: Span = text
        .parse()
        .map_err(|_| "a duration such as 30d or 12h is expected".to_owned())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours());
    let duration = duration.map_err(|_| "days and shorter units are expected, such as 30d".to_owned())?;
    if duration.is_positive() {
        Ok(duration)
    } else {
        Err("must be longer than nothing".to_owned())
    }
}

pub(super) async fn run(connection: &Connection, command: Command) -> Result<(), Failure> {
    let mut client = ApiTokenServiceClient::new(connection.open().await?);
    match command {
        Command::Create {
            account,
            roles,
            label,
            description,
            expires,
            output,
        } => {
            let expire_time = expires.map(|expires| Timestamp::now().checked_add(expires)).transpose();
            let expire_time = expire_time.map_err(Failure::call)?.map(model::time::to_wire);
            let request = wire::CreateApiTokenRequest {
                parent: name::format_account(account),
                api_token: Some(wire::ApiToken {
                    label,
                    description,
                    roles: roles.into_iter().map(|role| role.to_wire() as i32).collect(),
                    expire_time,
                    ..Default::default()
                }),
            };
            let created = client.create_api_token(request).await.map_err(refused)?.into_inner();
            println!("{}", show_created(&created, output));
        }
        Command::Get { name } => {
            let answer = client
                .get_api_token(wire::GetApiTokenRequest { name })
                .await
                .map_err(refused)?;
            println!("{}", show(&answer.into_inner().api_token.unwrap_or_default()));
        }
        Command::List { account } => {
            let mut page_token = String::new();
            loop {
                let request = wire::ListApiTokensRequest {
                    parent: name::format_account(account),
                    page_size: 0,
                    page_token,
                };
                let page = client.list_api_tokens(request).await.map_err(refused)?.into_inner();
                page.api_tokens.iter().for_each(|token| println!("{}", show(token)));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
        }
        Command::Delete { name } => {
            let request = wire::DeleteApiTokenRequest { name: name.clone() };
            client.delete_api_token(request).await.map_err(refused)?;
            println!("revoked {name}");
        }
    }
    Ok(())
}

fn show_created(created: &wire::CreateApiTokenResponse, output: CreateOutput) -> String {
    let wire::CreateApiTokenResponse {
        api_token,
        token,
        webhook_url,
    } = created;
    let name = api_token.as_ref().map_or("", |token| token.name.as_str());
    match output {
        CreateOutput::Token => token.clone(),
        CreateOutput::Json => json!({
            "name": name,
            "token": token,
            "webhook_url": webhook_url,
            "method": "POST",
            "headers": {"Content-Type": "application/json"},
            "body": LIQUID_BODY,
        })
        .to_string(),
        CreateOutput::Text => {
            let bare_url = webhook_url.split('?').next().unwrap_or_default();
            format!(
                "token: {token}\n\
                 name: {name}\n\
                 \n\
                 The token is shown this once. Paste into a Braze webhook:\n\
                 \n\
                 webhook URL: {webhook_url}\n\
                 HTTP method: POST\n\
                 request header: Content-Type: application/json\n\
                 request body (raw text):\n\
                 {LIQUID_BODY}\n\
                 \n\
                 A URL shows up in Braze's logs, and the token with it. To keep it out, use these instead of the URL above:\n\
                 \n\
                 webhook URL: {bare_url}\n\
                 request header: Authorization: Bearer {token}"
            )
        }
    }
}

/// One JSON object on one line.
fn show(token: &wire::ApiToken) -> String {
    let roles: Vec<_> = token
        .roles
        .iter()
        .filter_map(|role| Role::from_wire(*role))
        .map(Role::as_str)
        .collect();
    let time = |time: &Option<prost_types::Timestamp>| {
        let time = time.as_ref().and_then(model::time::from_wire);
        time.map(|time| time.to_string())
    };
    json!({
        "name": token.name,
        "label": token.label,
        "description": token.description,
        "roles": roles,
        "create_time": time(&token.create_time),
        "expire_time": time(&token.expire_time),
        "revision": token.revision,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created() -> wire::CreateApiTokenResponse {
        wire::CreateApiTokenResponse {
            api_token: Some(wire::ApiToken {
                name: "accounts/7/apiTokens/a".to_owned(),
                ..Default::default()
            }),
            token: "lb_7_a_secret".to_owned(),
            webhook_url: "https://c.example.com/c/7/braze_users?key=lb_7_a_secret".to_owned(),
        }
    }

    #[test]
    fn the_token_alone_is_printed_for_scripts() {
        assert_eq!(show_created(&created(), CreateOutput::Token), "lb_7_a_secret");
    }

    #[test]
    fn everything_to_paste_is_printed_for_people() {
        let text = show_created(&created(), CreateOutput::Text);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "token: lb_7_a_secret");
        for line in [
            "webhook URL: https://c.example.com/c/7/braze_users?key=lb_7_a_secret",
            "request header: Content-Type: application/json",
            "request header: Authorization: Bearer lb_7_a_secret",
            "webhook URL: https://c.example.com/c/7/braze_users",
        ] {
            assert!(lines.contains(&line), "{line} in {text}");
        }
        assert!(text.contains(LIQUID_BODY));
    }

    #[test]
    fn the_json_form_holds_the_same() {
        let value: serde_json::Value = serde_json::from_str(&show_created(&created(), CreateOutput::Json)).unwrap();
        assert_eq!(value["token"], "lb_7_a_secret");
        assert_eq!(value["headers"]["Content-Type"], "application/json");
        assert_eq!(value["body"], LIQUID_BODY);
    }

    #[test]
    fn the_body_is_json_with_the_twelve_fields_and_brazes_own_tags() {
        let body: serde_json::Map<String, serde_json::Value> = serde_json::from_str(LIQUID_BODY).unwrap();
        assert_eq!(body.len(), 12);
        for (field, tag) in body {
            // Braze's tag for the address is email_address; every other has the name of the field. Every user has a braze_id.
            let wanted = match field.as_str() {
                "braze_id" => "{{${braze_id}}}".to_owned(),
                "email" => "{{${email_address} | default: ''}}".to_owned(),
                named => format!("{{{{${{{named}}} | default: ''}}}}"),
            };
            assert_eq!(tag, wanted.as_str(), "{field}");
        }
    }

    #[test]
    fn an_expiry_is_a_duration() {
        assert_eq!(duration("30d"), Ok(SignedDuration::from_hours(720)));
        assert_eq!(duration("12h"), Ok(SignedDuration::from_hours(12)));
        for bad in ["", "30", "0d", "-1d", "never", "1 month"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}

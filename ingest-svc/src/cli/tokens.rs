//! `tokens create | get | list | update | delete`.

mod show;

use clap::{Args, Subcommand, ValueEnum};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use model::{AccountNumber, Role, name};
use prost_types::FieldMask;
use proto::apitoken::v1 as wire;
use proto::apitoken::v1::api_token_service_client::ApiTokenServiceClient;
use runtime::exit::Failure;
use runtime::grpc::Channel;
use runtime::stdout;

use super::{Connection, refused};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a token; it is shown once, with what to paste into Braze
    ///
    /// data_write is the role for what only sends; observer looks at what others have set up, data_manager also sets mappings, authorizations and jobs
    /// up, admin also makes tokens.
    #[command(after_long_help = examples!(
        "tokens create --account 1234 --role data_write \\\n      --label 'Braze webhooks' --allow braze:US-03",
        "tokens create --account 1234 --role observer --expires 30d \\\n      --output token",
    ))]
    Create {
        /// Number of the account
        #[arg(long, value_name = "NUMBER")]
        account: AccountNumber,
        /// What the token may do; repeat for several: admin, data_manager, data_write, observer
        #[arg(long = "role", required = true, value_name = "ROLE")]
        roles: Vec<Role>,
        /// A name for people
        #[arg(long, default_value = "", hide_default_value = true)]
        label: String,
        /// What it is for
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
        /// For how long it is good: 7d, 30d, 90d, or another duration such as 12h; without it, for ever
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires: Option<SignedDuration>,
        #[command(flatten)]
        limits: Limits,
        /// What to print
        #[arg(long, value_enum, default_value_t)]
        output: CreateOutput,
    },
    /// Show one token, without its secret
    ///
    /// With its roles, when it expires, and when it was last used.
    #[command(after_long_help = examples!("tokens get accounts/1234/apiTokens/a1b2c3"))]
    Get {
        /// accounts/{number}/apiTokens/{id}
        name: String,
    },
    /// Show the tokens of an account, without their secrets
    ///
    /// To find those that nobody has used for long, and revoke them.
    #[command(after_long_help = examples!("tokens list --account 1234"))]
    List {
        /// Number of the account
        #[arg(long, value_name = "NUMBER")]
        account: AccountNumber,
    },
    /// Change a token; what is not given stays
    ///
    /// Every replica knows within about a second. The secret stays the same: for another one create another token, and
    /// delete this one when nobody uses it any more.
    #[command(after_long_help = examples!(
        "tokens update accounts/1234/apiTokens/a1b2c3 \\\n      --requests-per-second 50 --allow-anywhere",
        "tokens update accounts/1234/apiTokens/a1b2c3 --role observer \\\n      --label Dashboards",
    ))]
    Update(Update),
    /// Revoke a token; it cannot be undone
    ///
    /// When it has leaked, or nobody needs it any more. Every replica refuses it within about a second.
    #[command(after_long_help = examples!("tokens delete accounts/1234/apiTokens/a1b2c3"))]
    Delete {
        /// accounts/{number}/apiTokens/{id}
        name: String,
        /// Only if this is still its revision
        #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
        revision: u64,
    },
}

/// How much may be sent with a token, and from where.
#[derive(Debug, Args)]
pub(super) struct Limits {
    /// Requests that may be begun in a second, at each replica; 0 for the installation's own limit
    #[arg(long, value_name = "NUMBER")]
    requests_per_second: Option<u32>,
    /// Requests that may be in progress at once, at each replica; 0 for the installation's own limit
    #[arg(long, value_name = "NUMBER")]
    requests_max: Option<u32>,
    /// From where alone it may be used; repeat for several: an address, a network such as 10.1.0.0/16, or braze:US-03 for all
    /// addresses of that Braze instance
    #[arg(long = "allow", value_name = "SOURCE")]
    allowed_sources: Vec<String>,
}

impl Limits {
    fn to_wire(&self) -> wire::Limits {
        wire::Limits {
            requests_per_second: self.requests_per_second.unwrap_or_default(),
            requests_max: self.requests_max.unwrap_or_default(),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Update {
    /// accounts/{number}/apiTokens/{id}
    name: String,
    /// Only if this is still the token's revision
    #[arg(long, value_name = "NUMBER")]
    revision: Option<u64>,
    /// What the token may do, instead of what it may do now; repeat for several
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<Role>,
    /// A name for people
    #[arg(long)]
    label: Option<String>,
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    #[command(flatten)]
    limits: Limits,
    /// It may be used from anywhere again
    #[arg(long, conflicts_with = "allowed_sources")]
    allow_anywhere: bool,
}

impl Update {
    fn to_request(&self) -> wire::UpdateApiTokenRequest {
        let given = [
            ("label", self.label.is_some()),
            ("description", self.description.is_some()),
            ("roles", !self.roles.is_empty()),
            ("limits.requests_per_second", self.limits.requests_per_second.is_some()),
            ("limits.requests_max", self.limits.requests_max.is_some()),
            (
                "allowed_sources",
                self.allow_anywhere || !self.limits.allowed_sources.is_empty(),
            ),
        ];
        let paths = given.iter().filter(|(_, given)| *given);
        wire::UpdateApiTokenRequest {
            update_mask: Some(FieldMask {
                paths: paths.map(|(path, _)| (*path).to_owned()).collect(),
            }),
            api_token: Some(wire::ApiToken {
                name: self.name.clone(),
                label: self.label.clone().unwrap_or_default(),
                description: self.description.clone().unwrap_or_default(),
                roles: roles(&self.roles),
                limits: Some(self.limits.to_wire()),
                allowed_sources: self.limits.allowed_sources.clone(),
                revision: self.revision.unwrap_or_default(),
                ..Default::default()
            }),
        }
    }
}

fn roles(roles: &[Role]) -> Vec<i32> {
    roles.iter().map(|role| role.to_wire() as i32).collect()
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
            roles: wanted,
            label,
            description,
            expires,
            limits,
            output,
        } => {
            let expire_time = expires.map(|expires| Timestamp::now().checked_add(expires)).transpose();
            let expire_time = expire_time.map_err(Failure::call)?.map(model::time::to_wire);
            let request = wire::CreateApiTokenRequest {
                parent: name::format_account(account),
                api_token: Some(wire::ApiToken {
                    label,
                    description,
                    roles: roles(&wanted),
                    expire_time,
                    limits: Some(limits.to_wire()),
                    allowed_sources: limits.allowed_sources,
                    ..Default::default()
                }),
            };
            let created = client.create_api_token(request).await.map_err(refused)?.into_inner();
            stdout::line(show::created(&created, output));
        }
        Command::Get { name } => {
            let answer = client.get_api_token(wire::GetApiTokenRequest { name }).await;
            let token = answer.map_err(refused)?.into_inner().api_token;
            stdout::line(show::token(&token.unwrap_or_default()));
        }
        Command::List { account } => list(&mut client, account).await?,
        Command::Update(update) => {
            let answer = client.update_api_token(update.to_request()).await;
            let token = answer.map_err(refused)?.into_inner().api_token;
            stdout::line(show::token(&token.unwrap_or_default()));
        }
        Command::Delete { name, revision } => {
            let request = wire::DeleteApiTokenRequest {
                name: name.clone(),
                revision,
            };
            client.delete_api_token(request).await.map_err(refused)?;
            stdout::line(format_args!("revoked {name}"));
        }
    }
    Ok(())
}

async fn list(client: &mut ApiTokenServiceClient<Channel>, account: AccountNumber) -> Result<(), Failure> {
    let mut page_token = String::new();
    loop {
        let request = wire::ListApiTokensRequest {
            parent: name::format_account(account),
            page_size: 0,
            page_token,
        };
        let page = client.list_api_tokens(request).await.map_err(refused)?.into_inner();
        page.api_tokens
            .iter()
            .for_each(|token| stdout::line(show::token(token)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn an_expiry_is_a_duration() {
        for (text, days) in [("7d", 7), ("30d", 30), ("90d", 90)] {
            assert_eq!(duration(text), Ok(SignedDuration::from_hours(24 * days)), "{text}");
        }
        assert_eq!(duration("12h"), Ok(SignedDuration::from_hours(12)));
        for bad in ["", "30", "0d", "-1d", "never", "1 month"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    fn update(line: &str) -> wire::UpdateApiTokenRequest {
        match Line::parse_from(line.split(' ')).command {
            Command::Update(update) => update.to_request(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_update_names_what_was_given_and_nothing_else() {
        let request = update("tokens update accounts/7/apiTokens/a --requests-max 0 --allow braze:US-03 --revision 4");
        let paths = request.update_mask.unwrap().paths;
        assert_eq!(paths, ["limits.requests_max", "allowed_sources"]);
        let token = request.api_token.unwrap();
        assert_eq!((token.name.as_str(), token.revision), ("accounts/7/apiTokens/a", 4));
        assert_eq!(token.allowed_sources, ["braze:US-03"]);
        let request = update("tokens update a --allow-anywhere --label  --role observer");
        assert_eq!(
            request.update_mask.unwrap().paths,
            ["label", "roles", "allowed_sources"]
        );
    }
}

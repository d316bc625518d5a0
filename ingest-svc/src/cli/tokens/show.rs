//! How tokens are printed.

use model::Role;
use proto::apitoken::v1 as wire;
use serde_json::json;

use super::CreateOutput;

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

pub(super) fn created(created: &wire::CreateApiTokenResponse, output: CreateOutput) -> String {
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
pub(super) fn token(token: &wire::ApiToken) -> String {
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
    let limits = token.limits.unwrap_or_default();
    // 0 is as the installation has it.
    let limit = |limit: u32| (limit != 0).then_some(limit);
    json!({
        "name": token.name,
        "label": token.label,
        "description": token.description,
        "roles": roles,
        "create_time": time(&token.create_time),
        "update_time": time(&token.update_time),
        "expire_time": time(&token.expire_time),
        "last_use_time": time(&token.last_use_time),
        "requests_per_second": limit(limits.requests_per_second),
        "requests_max": limit(limits.requests_max),
        "allowed_sources": token.allowed_sources,
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
        assert_eq!(super::created(&created(), CreateOutput::Token), "lb_7_a_secret");
    }

    #[test]
    fn everything_to_paste_is_printed_for_people() {
        let text = super::created(&created(), CreateOutput::Text);
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
        let value: serde_json::Value = serde_json::from_str(&super::created(&created(), CreateOutput::Json)).unwrap();
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
}

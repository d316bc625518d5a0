//! What callers may say of a token: read from the contract, with everything that is wrong with it at once.

use control::{AllowedSource, ApiTokenSettings, Limits};
use jiff::Timestamp;
use model::{Role, text};
use prost_types::FieldMask;
use proto::apitoken::v1 as wire;
use runtime::grpc::status::Violations;
use tonic::Status;

/// Sources that a token may name.
const SOURCES_MAX: usize = 100;

/// A field that can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Label,
    Description,
    Roles,
    RequestsPerSecond,
    RequestsMax,
    AllowedSources,
}

impl Field {
    const ALL: [Self; 6] = [
        Self::Label,
        Self::Description,
        Self::Roles,
        Self::RequestsPerSecond,
        Self::RequestsMax,
        Self::AllowedSources,
    ];

    /// As an update mask names it.
    fn path(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Description => "description",
            Self::Roles => "roles",
            Self::RequestsPerSecond => "limits.requests_per_second",
            Self::RequestsMax => "limits.requests_max",
            Self::AllowedSources => "allowed_sources",
        }
    }

    fn is_named_by(self, path: &str) -> bool {
        let below = self.path().strip_prefix(path);
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    fn is_set_in(self, token: &wire::ApiToken) -> bool {
        let limits = token.limits.unwrap_or_default();
        match self {
            Self::Label => !token.label.is_empty(),
            Self::Description => !token.description.is_empty(),
            Self::Roles => !token.roles.is_empty(),
            Self::RequestsPerSecond => limits.requests_per_second != 0,
            Self::RequestsMax => limits.requests_max != 0,
            Self::AllowedSources => !token.allowed_sources.is_empty(),
        }
    }

    fn read(self, token: &wire::ApiToken, settings: &mut ApiTokenSettings) -> Result<(), String> {
        let limits = Limits::from_wire(&token.limits.unwrap_or_default());
        match self {
            Self::Label => {
                if !token.label.is_empty() {
                    text::label(&token.label).map_err(|error| error.to_string())?;
                }
                settings.label.clone_from(&token.label);
            }
            Self::Description => {
                text::description(&token.description).map_err(|error| error.to_string())?;
                settings.description.clone_from(&token.description);
            }
            Self::Roles => settings.roles = roles(&token.roles)?,
            Self::RequestsPerSecond => {
                let max = Limits::REQUESTS_PER_SECOND_MAX;
                if limits.requests_per_second.is_some_and(|wanted| wanted.get() > max) {
                    return Err(format!("must be at most {max}; 0 is the installation's own"));
                }
                settings.limits.requests_per_second = limits.requests_per_second;
            }
            Self::RequestsMax => settings.limits.requests_max = limits.requests_max,
            Self::AllowedSources => settings.allowed_sources = sources(&token.allowed_sources)?,
        }
        Ok(())
    }

    fn copy(self, from: &ApiTokenSettings, to: &mut ApiTokenSettings) {
        match self {
            Self::Label => to.label.clone_from(&from.label),
            Self::Description => to.description.clone_from(&from.description),
            Self::Roles => to.roles.clone_from(&from.roles),
            Self::RequestsPerSecond => to.limits.requests_per_second = from.limits.requests_per_second,
            Self::RequestsMax => to.limits.requests_max = from.limits.requests_max,
            Self::AllowedSources => to.allowed_sources.clone_from(&from.allowed_sources),
        }
    }
}

fn roles(wanted: &[i32]) -> Result<Vec<Role>, String> {
    let mut roles: Vec<Role> = wanted.iter().filter_map(|role| Role::from_wire(*role)).collect();
    if roles.len() < wanted.len() || roles.is_empty() {
        return Err("must be one or more of admin, data_manager, data_write, observer".to_owned());
    }
    roles.sort_unstable();
    roles.dedup();
    Ok(roles)
}

fn sources(wanted: &[String]) -> Result<Vec<AllowedSource>, String> {
    if wanted.len() > SOURCES_MAX {
        return Err(format!(
            "must be at most {SOURCES_MAX}; a network such as 10.1.0.0/16 is one"
        ));
    }
    let parse = |text: &String| text.parse().map_err(|error| format!("{text:?} {error}"));
    wanted.iter().map(parse).collect()
}

fn read(fields: &[Field], token: &wire::ApiToken, violations: &mut Violations) -> ApiTokenSettings {
    let mut settings = ApiTokenSettings::default();
    for field in fields {
        if let Err(problem) = field.read(token, &mut settings) {
            violations.add(format!("api_token.{}", field.path()), problem);
        }
    }
    settings
}

/// What is to be created, and when it expires.
pub(super) fn wanted(token: &wire::ApiToken, now: Timestamp) -> Result<(ApiTokenSettings, Option<Timestamp>), Status> {
    let mut violations = Violations::new();
    let settings = read(&Field::ALL, token, &mut violations);
    let expire_time = token.expire_time.as_ref().map(model::time::from_wire);
    if expire_time.is_some_and(|time| time.is_none_or(|time| time <= now)) {
        violations.add("api_token.expire_time", "must lie in the future");
    }
    violations.into_result()?;
    Ok((settings, expire_time.flatten()))
}

/// The edit that is asked for.
pub(super) fn edit(
    token: &wire::ApiToken,
    mask: &FieldMask,
) -> Result<impl Fn(&mut ApiTokenSettings) + Send + Sync + use<>, Status> {
    let mut violations = Violations::new();
    let mut fields = Field::ALL.to_vec();
    if mask.paths.is_empty() {
        fields.retain(|field| field.is_set_in(token));
    } else {
        fields.retain(|field| mask.paths.iter().any(|path| field.is_named_by(path)));
    }
    let known = |path: &&String| Field::ALL.iter().any(|field| field.is_named_by(path));
    if let Some(path) = mask.paths.iter().find(|path| !known(path)) {
        let all = Field::ALL.map(Field::path).join(", ");
        violations.add("update_mask", format!("{path:?} cannot be changed; what can: {all}"));
    } else if fields.is_empty() {
        violations.add("update_mask", "names nothing, and nothing is set in api_token");
    }
    let new = read(&fields, token, &mut violations);
    violations.into_result()?;
    Ok(move |settings: &mut ApiTokenSettings| fields.iter().for_each(|field| field.copy(&new, settings)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn token() -> wire::ApiToken {
        wire::ApiToken {
            roles: vec![Role::DataManager.to_wire() as i32],
            ..Default::default()
        }
    }

    fn mask(paths: &[&str]) -> FieldMask {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        FieldMask { paths }
    }

    #[test]
    fn a_token_needs_a_role_and_nothing_else() {
        let (settings, expire_time) = wanted(&token(), NOW).unwrap();
        let roles = vec![Role::DataManager];
        let expected = ApiTokenSettings {
            roles,
            ..ApiTokenSettings::default()
        };
        assert_eq!((settings, expire_time), (expected, None));
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let bad = wire::ApiToken {
            label: " x".to_owned(),
            description: "x".repeat(2_001),
            roles: vec![1, 99],
            expire_time: Some(model::time::to_wire(NOW)),
            limits: Some(wire::Limits {
                requests_per_second: 1_000_001,
                requests_max: 1,
            }),
            allowed_sources: vec!["10.0.0.0/8".to_owned(), "10.0.0.1/8".to_owned()],
            ..Default::default()
        };
        let message = wanted(&bad, NOW).unwrap_err().message().to_owned();
        for field in [
            "label",
            "description",
            "roles",
            "expire_time",
            "limits.requests_per_second",
            "allowed_sources",
        ] {
            assert!(
                message.contains(&format!("api_token.{field}: ")),
                "{field} in {message}"
            );
        }
        assert!(message.contains("\"10.0.0.1/8\" has more digits"), "{message}");
        let nothing = wanted(&wire::ApiToken::default(), NOW).unwrap_err();
        assert!(nothing.message().starts_with("api_token.roles: "));
        let many = wire::ApiToken {
            allowed_sources: vec!["10.0.0.1".to_owned(); 101],
            ..token()
        };
        assert!(wanted(&many, NOW).unwrap_err().message().contains("at most 100"));
    }

    #[test]
    fn a_token_is_good_for_7_30_or_90_days_or_for_ever() {
        for days in [7, 30, 90] {
            let expiry = NOW + jiff::SignedDuration::from_hours(24 * days);
            let token = wire::ApiToken {
                expire_time: Some(model::time::to_wire(expiry)),
                ..token()
            };
            assert_eq!(wanted(&token, NOW).unwrap().1, Some(expiry));
        }
        assert_eq!(wanted(&token(), NOW).unwrap().1, None);
    }

    #[test]
    fn an_expiry_that_cannot_be_read_is_not_never() {
        let mut token = token();
        token.expire_time = Some(prost_types::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        });
        assert!(wanted(&token, NOW).is_err());
    }

    /// What a token with everything set becomes by an edit.
    fn edited(token: &wire::ApiToken, paths: &[&str]) -> wire::ApiToken {
        let full = wire::ApiToken {
            label: "old".to_owned(),
            description: "old".to_owned(),
            roles: vec![Role::Admin.to_wire() as i32],
            limits: Some(wire::Limits {
                requests_per_second: 1,
                requests_max: 1,
            }),
            allowed_sources: vec!["10.0.0.1".to_owned()],
            ..Default::default()
        };
        let (mut settings, _) = wanted(&full, NOW).unwrap();
        edit(token, &mask(paths)).unwrap()(&mut settings);
        wire::ApiToken {
            label: settings.label.clone(),
            description: settings.description.clone(),
            roles: settings.roles.iter().map(|role| role.to_wire() as i32).collect(),
            limits: Some(wire::Limits {
                requests_per_second: settings.limits.requests_per_second.map_or(0, u32::from),
                requests_max: settings.limits.requests_max.map_or(0, u32::from),
            }),
            allowed_sources: settings.allowed_sources.iter().map(ToString::to_string).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn an_edit_changes_what_the_mask_names_and_nothing_else() {
        let new = wire::ApiToken {
            label: "new".to_owned(),
            limits: Some(wire::Limits {
                requests_per_second: 9,
                requests_max: 9,
            }),
            ..token()
        };
        let limits = |edited: &wire::ApiToken| {
            let limits = edited.limits.unwrap();
            (limits.requests_per_second, limits.requests_max)
        };
        let one = edited(&new, &["limits.requests_max"]);
        assert_eq!((limits(&one), one.label.as_str()), ((1, 9), "old"));
        let group = edited(&new, &["limits", "description", "allowed_sources"]);
        assert_eq!(limits(&group), (9, 9));
        assert_eq!((group.label.as_str(), group.description.as_str()), ("old", ""));
        assert_eq!(
            group.allowed_sources, [""; 0],
            "what the mask names and nobody set is emptied"
        );
        let roles = edited(&new, &["label", "roles"]);
        assert_eq!((roles.label.as_str(), roles.description.as_str()), ("new", "old"));
        assert_eq!(roles.roles, new.roles);
        let set = edited(&new, &[]);
        assert_eq!((set.label.as_str(), set.description.as_str()), ("new", "old"));
        assert_eq!((limits(&set), set.allowed_sources.len()), ((9, 9), 1));
    }

    #[test]
    fn an_edit_of_nothing_or_of_what_cannot_be_changed_is_refused_with_what_can() {
        let refused = |token: &wire::ApiToken, paths: &[&str]| {
            let refused = edit(token, &mask(paths)).err().unwrap();
            refused.message().to_owned()
        };
        let message = refused(&token(), &["label", "expire_time"]);
        assert!(
            message.starts_with("update_mask: \"expire_time\" cannot be changed"),
            "{message}"
        );
        assert!(message.contains("limits.requests_max"), "{message}");
        // An earlier client that says `*` cannot mean what it does not know.
        for path in ["", "lab", "labels", "limits.", "*"] {
            assert!(refused(&token(), &[path]).starts_with("update_mask: "), "{path}");
        }
        assert!(refused(&wire::ApiToken::default(), &[]).starts_with("update_mask: "));
        assert!(refused(&wire::ApiToken::default(), &["roles"]).starts_with("api_token.roles: "));
    }
}

//! Whom credentials are for, and the form that each takes: what `ListProviders` tells and what creation checks is one table.

use control::{Budget, PROVIDER};
use model::text;
use proto::authorization::v1 as wire;
use proto::authorization::v1::FormControl;
use runtime::grpc::status::Violations;

use super::authorization::parse;
use super::check_is;

/// A field of the form.
struct Field {
    /// Path in `CreateAuthorizationRequest`.
    path: &'static str,
    label: &'static str,
    help: &'static str,
    control: FormControl,
    optional: bool,
    /// What is wrong with what stands in it, if something is. Blank ones that may be are not asked about.
    check: fn(&Form<'_>) -> Result<(), String>,
    is_blank: fn(&Form<'_>) -> bool,
}

/// What somebody has filled in.
pub(super) struct Form<'a> {
    pub(super) authorization: &'a wire::Authorization,
    pub(super) rest_api_key: &'a str,
}

/// The form of Braze's only method, in order.
const BRAZE: [Field; 7] = [
    Field {
        path: "authorization.label",
        label: "Label",
        help: "What people call it; unique in the account.",
        control: FormControl::Text,
        optional: false,
        check: |form| text::label(&form.authorization.label).map_err(|error| error.to_string()),
        is_blank: |_| false,
    },
    Field {
        path: "authorization.description",
        label: "Description",
        help: "For people.",
        control: FormControl::TextArea,
        optional: true,
        check: |form| text::description(&form.authorization.description).map_err(|error| error.to_string()),
        is_blank: |form| form.authorization.description.is_empty(),
    },
    Field {
        path: "rest_api_key",
        label: "REST API key",
        help: "From Braze's settings, with the permission users.track. Write-only.",
        control: FormControl::Secret,
        optional: false,
        check: |form| parse::key(form.rest_api_key).map_err(str::to_owned),
        is_blank: |_| false,
    },
    Field {
        path: "authorization.instance",
        label: "Braze instance",
        help: "By name, or the address of the dashboard.",
        control: FormControl::Select,
        optional: false,
        check: |form| parse::instance(&form.authorization.instance).map(drop),
        is_blank: |_| false,
    },
    Field {
        path: "authorization.workspace",
        label: "Braze workspace",
        help: "Several keys of one Braze workspace name the same one, so that they share its rate limit. Blank: one of its own.",
        control: FormControl::Text,
        optional: true,
        check: |form| parse::workspace(&form.authorization.workspace),
        is_blank: |form| form.authorization.workspace.is_empty(),
    },
    Field {
        path: "authorization.budget.requests_per_second",
        label: "Requests per second",
        help: "How many the Braze workspace gets. Blank: a share of Braze's limit, or what the installation has configured.",
        control: FormControl::Number,
        optional: true,
        check: |form| parse::requests_per_second(budget(form)),
        is_blank: |form| budget(form).requests_per_second.is_none(),
    },
    Field {
        path: "authorization.budget.limit_share",
        label: "Share of Braze's limit",
        help: "Above 0 and at most 1. Blank: 0.5.",
        control: FormControl::Number,
        optional: true,
        check: |form| parse::limit_share(budget(form)),
        is_blank: |form| budget(form).limit_share.is_none(),
    },
];

fn budget(form: &Form<'_>) -> Budget {
    Budget::from_wire(form.authorization.budget)
}

/// Everything that is wrong with a form.
pub(super) fn check(form: &Form<'_>) -> Violations {
    let mut violations = Violations::new();
    let authorization = form.authorization;
    check_is(
        &mut violations,
        "authorization.provider",
        &authorization.provider,
        PROVIDER,
    );
    check_is(&mut violations, "authorization.method", &authorization.method, PROVIDER);
    for field in &BRAZE {
        if field.optional && (field.is_blank)(form) {
            continue;
        }
        super::check(&mut violations, field.path, (field.check)(form));
    }
    violations
}

/// What there is to choose from.
pub(super) fn providers() -> Vec<wire::Provider> {
    let instances = || braze::INSTANCES.iter().map(|instance| instance.name.to_owned());
    let field = |(order, field): (u32, &Field)| wire::FormField {
        path: field.path.to_owned(),
        label: field.label.to_owned(),
        help: field.help.to_owned(),
        control: field.control.into(),
        order,
        optional: field.optional,
        options: if field.control == FormControl::Select {
            instances().collect()
        } else {
            Vec::new()
        },
    };
    let method = wire::ProviderMethod {
        method: PROVIDER.to_owned(),
        label: "Braze".to_owned(),
        fields: (1..).zip(&BRAZE).map(field).collect(),
    };
    vec![wire::Provider {
        provider: PROVIDER.to_owned(),
        label: "Braze".to_owned(),
        methods: vec![method],
    }]
}

#[cfg(test)]
mod tests {
    use runtime::grpc::status::explain;

    use super::*;

    #[test]
    fn creation_asks_for_exactly_the_fields_that_the_form_calls_for() {
        let blank = wire::Authorization {
            provider: PROVIDER.to_owned(),
            method: PROVIDER.to_owned(),
            ..wire::Authorization::default()
        };
        let form = Form {
            authorization: &blank,
            rest_api_key: "",
        };
        let refused = explain(&check(&form).into_result().unwrap_err());
        let [provider] = &providers()[..] else {
            panic!("one provider")
        };
        let fields = &provider.methods[0].fields;
        assert_eq!(provider.methods.len(), 1);
        assert!(fields.iter().zip(1..).all(|(field, order)| field.order == order));
        for field in fields {
            let asked = refused.contains(&field.path);
            assert_eq!(asked, !field.optional, "{}: {refused}", field.path);
        }
        let select = fields.iter().find(|field| field.control() == FormControl::Select);
        assert_eq!(select.unwrap().options.len(), 15);
    }
}

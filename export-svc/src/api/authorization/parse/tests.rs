use super::*;

fn good() -> Authorization {
    Authorization {
        provider: "braze".to_owned(),
        method: "braze".to_owned(),
        label: "Sim".to_owned(),
        instance: "us-01".to_owned(),
        ..Authorization::default()
    }
}

#[test]
fn a_good_one_is_taken_over_with_the_instance_as_braze_spells_it() {
    let new = parse(good(), SecretString::from("k-1")).unwrap();
    assert_eq!(
        (new.label.as_str(), new.instance.as_str(), new.workspace),
        ("Sim", "US-01", None)
    );
    let newer = Authorization {
        instance: "https://rest.us-11.braze.com".to_owned(),
        ..good()
    };
    assert_eq!(
        parse(newer, SecretString::from("k")).unwrap().instance,
        "https://rest.us-11.braze.com"
    );
}

#[test]
fn every_fault_is_told_at_once_and_the_key_is_not_shown() {
    let bad = Authorization {
        provider: "iterable".to_owned(),
        method: String::new(),
        label: " ".to_owned(),
        description: "x".repeat(2_001),
        instance: "US-09".to_owned(),
        workspace: "a/b".to_owned(),
        ..Authorization::default()
    };
    let status = parse(bad, SecretString::from("top secret")).unwrap_err();
    for field in [
        "provider",
        "method",
        "label",
        "description",
        "instance",
        "workspace",
        "rest_api_key",
    ] {
        assert!(
            status.message().contains(field),
            "{field} is missing: {}",
            status.message()
        );
    }
    assert!(!status.message().contains("top secret"));
}

#[test]
fn an_unknown_instance_is_answered_with_the_known_ones() {
    let message = instance("US-09").unwrap_err();
    assert!(
        message.contains("US-09") && message.contains("US-01") && message.contains("EU-02"),
        "{message}"
    );
}

#[test]
fn a_key_is_one_visible_word() {
    for bad in ["", " ", "a b", "a\n", "ключ"] {
        assert!(key(bad).is_err(), "{bad:?}");
    }
    assert_eq!(key("b1946ac9-2f5a-4c0f-9c4e-000000000000"), Ok(()));
}

fn edited(new: Authorization, paths: &[&str]) -> Result<AuthorizationSettings, Status> {
    let mask = FieldMask {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
    };
    let mut settings = AuthorizationSettings {
        label: "old".to_owned(),
        description: "old".to_owned(),
        budget: Budget {
            requests_per_second: Some(7.0),
            limit_share: Some(0.7),
        },
    };
    edit(&new, &mask)?(&mut settings);
    Ok(settings)
}

fn with_budget(requests_per_second: Option<f64>, limit_share: Option<f64>) -> Authorization {
    let budget = Budget {
        requests_per_second,
        limit_share,
    };
    Authorization {
        budget: budget.to_wire(),
        ..Authorization::default()
    }
}

#[test]
fn an_edit_changes_what_the_mask_names_or_what_is_set() {
    let settings = edited(good(), &[]).unwrap();
    assert_eq!((settings.label.as_str(), settings.description.as_str()), ("Sim", "old"));
    let settings = edited(good(), &["description", "budget.limit_share"]).unwrap();
    assert_eq!((settings.label.as_str(), settings.description.as_str()), ("old", ""));
    assert_eq!(
        (settings.budget.requests_per_second, settings.budget.limit_share),
        (Some(7.0), None)
    );
    let settings = edited(with_budget(Some(1.0), None), &["budget"]).unwrap();
    assert_eq!(
        (settings.budget.requests_per_second, settings.budget.limit_share),
        (Some(1.0), None)
    );
    let settings = edited(with_budget(None, Some(1.0)), &[]).unwrap();
    assert_eq!(
        (settings.budget.requests_per_second, settings.budget.limit_share),
        (Some(7.0), Some(1.0))
    );
}

#[test]
fn an_edit_of_what_cannot_be_changed_or_to_what_cannot_be_is_refused() {
    let refused = |new, paths: &[&str]| edited(new, paths).unwrap_err().message().to_owned();
    // An earlier client that says `*` cannot mean what it does not know.
    for path in ["workspace", "instance", "rest_api_key", "health", "*"] {
        let message = refused(good(), &[path]);
        assert!(
            message.starts_with("update_mask: ") && message.contains(path),
            "{message}"
        );
    }
    assert!(refused(Authorization::default(), &[]).starts_with("update_mask: "));
    assert!(refused(Authorization::default(), &["label"]).starts_with("authorization.label: "));
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(
            refused(with_budget(Some(rate), None), &[]).contains("requests_per_second"),
            "{rate}"
        );
    }
    for share in [0.0, 1.01, f64::NAN] {
        assert!(
            refused(with_budget(None, Some(share)), &["budget"]).contains("limit_share"),
            "{share}"
        );
        assert!(
            parse(
                Authorization {
                    budget: with_budget(None, Some(share)).budget,
                    ..good()
                },
                SecretString::from("k")
            )
            .is_err()
        );
    }
}

#[test]
fn an_instance_is_named_or_given_by_its_dashboard_and_no_other_host_is_taken() {
    for row in braze::INSTANCES {
        for given in [
            row.name.to_owned(),
            format!("https://{}", row.dashboard),
            format!("https://{}", row.rest),
        ] {
            assert_eq!(instance(&given).as_deref(), Ok(row.name), "{given}");
        }
    }
    for given in [
        "http://localhost:8099",
        "https://10.0.0.1",
        "https://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data",
        "https://[::1]",
        "https://rest.iad-01.braze.com.evil.example",
        "https://rest.iad-01.braze.com@10.0.0.1",
    ] {
        assert!(instance(given).is_err(), "{given}");
    }
}

//! Authorizations that cannot be used, are refused, and come back.

use super::*;

const NEVER: Time = Time::MAX;

/// Two jobs, each with an authorization of its own, of which the first one's is as given.
fn wanted(first: Grant) -> JobSet {
    JobSet {
        jobs: vec![job(0, true, [0, 0]), job(2, true, [0, 0])],
        authorizations: [("auth-0".to_owned(), first), ("auth-1".to_owned(), grant())].into(),
        ..JobSet::default()
    }
}

fn feeds() -> Feeds {
    let mut feeds = Feeds::new(2, HashMap::new());
    assert!(feeds.apply(WORKSPACE, &wanted(grant())).is_empty());
    feeds
}

fn attached(feeds: &Feeds) -> Vec<String> {
    let attached = feeds.iter().filter(|feed| feed.is_served());
    attached.map(|feed| feed.slug.to_string()).collect()
}

fn used(revision: u64) -> Used {
    let name = "auth-0".to_owned();
    Used { name, revision }
}

#[test]
fn feeds_are_detached_when_their_authorization_cannot_be_used_any_more_and_only_they() {
    let mut feeds = feeds();
    let closed = Grant {
        revision: 2,
        credential: Err("it cannot be opened".to_owned()),
    };
    assert_eq!(
        feeds.apply(WORKSPACE, &wanted(closed)).len(),
        1,
        "its changes are not to be sent"
    );
    assert_eq!(attached(&feeds), ["news"]);
    assert_eq!(
        feeds.caller("auth-0").map(|(used, _)| used.name),
        Some("auth-1".to_owned())
    );
    assert_eq!(feeds.next_probe(), None, "asking would not help");
    let mended = Grant { revision: 3, ..grant() };
    assert!(feeds.apply(WORKSPACE, &wanted(mended)).is_empty());
    assert_eq!(attached(&feeds), ["vip", "news"]);
    let mut gone = wanted(grant());
    gone.authorizations.remove("auth-0");
    assert_eq!(feeds.apply(WORKSPACE, &gone).len(), 1);
    assert_eq!(attached(&feeds), ["news"]);
}

#[test]
fn what_braze_says_to_an_old_key_is_not_held_against_the_new_one() {
    let mut feeds = feeds();
    let renewed = Grant { revision: 2, ..grant() };
    feeds.apply(WORKSPACE, &wanted(renewed));
    assert!(feeds.refuse(&used(1), |_| NEVER, "401").is_empty());
    assert_eq!(attached(&feeds), ["vip", "news"]);
    assert_eq!(feeds.refuse(&used(2), |_| NEVER, "401").len(), 1);
    assert_eq!(attached(&feeds), ["news"]);
}

#[test]
fn the_wait_grows_until_updates_are_taken_and_not_just_the_question() {
    let mut feeds = feeds();
    let second = |refusals: u32| Time::from_millis(i64::from(refusals));
    for refusals in 0..3 {
        assert_eq!(feeds.refuse(&used(1), second, "proxy").len(), 1);
        assert!(
            feeds.refuse(&used(1), second, "proxy").is_empty(),
            "once for all in flight"
        );
        assert_eq!(feeds.next_probe(), Some(second(refusals)));
        assert_eq!(feeds.probe(second(refusals)).len(), 1);
        assert_eq!(attached(&feeds), ["news"], "nothing is at stake while Braze is asked");
        assert!(
            !feeds.probed(&used(1), Probed::NotKnown, second),
            "nobody knows: asked again"
        );
        assert_eq!(feeds.probe(second(0)).len(), 1);
        assert!(feeds.probed(&used(1), Probed::Taken, second));
        assert_eq!(attached(&feeds), ["vip", "news"]);
    }
    feeds.trust(&used(1));
    feeds.refuse(&used(1), second, "401");
    assert_eq!(feeds.next_probe(), Some(second(0)));
    feeds.probe(second(0));
    let reason = "403".to_owned();
    assert!(!feeds.probed(&used(1), Probed::Refused { reason }, second));
    assert_eq!(
        (feeds.next_probe(), feeds.asleep("auth-0")),
        (Some(second(1)), Some("403"))
    );
}

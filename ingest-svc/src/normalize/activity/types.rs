//! Braze's types of events: the channel and the action of each.
//!
//! Of messages, a type that is new to us has the channel of its siblings, and the action of those that end in the same word, if there
//! are any: `users.messages.email.Forward` is of e-mail, and `users.messages.fax.Open` an opening.

use proto::profile::v1::Action::{self, *};
use proto::profile::v1::Channel::{self, *};

/// What the types of messages begin with.
const MESSAGES: &str = "users.messages.";

/// Of types that are no channel's.
const NONE: Channel = Channel::Unspecified;

/// Every type that Currents has, in the order of their names.
const TYPES: &[(&str, Channel, Action)] = &[
    ("agentconsole.AgentExecuted", NONE, AgentExecution),
    ("agentconsole.ToolInvocation", NONE, ToolInvocation),
    ("users.RandomBucketNumberUpdate", NONE, RandomBucketChange),
    ("users.UserDeleteRequest", NONE, DeleteRequest),
    ("users.UserOrphan", NONE, Orphan),
    ("users.behaviors.CustomEvent", NONE, CustomEvent),
    ("users.behaviors.InstallAttribution", NONE, Install),
    ("users.behaviors.Location", NONE, Location),
    ("users.behaviors.Purchase", NONE, Purchase),
    ("users.behaviors.Uninstall", NONE, Uninstall),
    ("users.behaviors.app.FirstSession", NONE, FirstSession),
    ("users.behaviors.app.SessionEnd", NONE, SessionEnd),
    ("users.behaviors.app.SessionStart", NONE, SessionStart),
    (
        "users.behaviors.liveactivity.PushToStartTokenChange",
        LiveActivity,
        TokenChange,
    ),
    (
        "users.behaviors.liveactivity.UpdateTokenChange",
        LiveActivity,
        TokenChange,
    ),
    ("users.behaviors.pushnotification.TokenStateChange", Push, TokenChange),
    (
        "users.behaviors.subscription.GlobalStateChange",
        NONE,
        SubscriptionChange,
    ),
    (
        "users.behaviors.subscriptiongroup.StateChange",
        NONE,
        SubscriptionChange,
    ),
    ("users.campaigns.Conversion", NONE, Conversion),
    ("users.campaigns.EnrollInControl", NONE, ControlEntry),
    ("users.canvas.Conversion", NONE, Conversion),
    ("users.canvas.Entry", NONE, Entry),
    ("users.canvas.costep.Send", NONE, Send),
    ("users.canvas.exit.MatchedAudience", NONE, Exit),
    ("users.canvas.exit.PerformedEvent", NONE, Exit),
    ("users.canvas.experimentstep.Conversion", NONE, Conversion),
    ("users.canvas.experimentstep.SplitEntry", NONE, Entry),
    ("users.canvasstep.Progression", NONE, Progression),
    ("users.messages.banner.Abort", Banner, Abort),
    ("users.messages.banner.Click", Banner, Click),
    ("users.messages.banner.Dismiss", Banner, Dismiss),
    ("users.messages.banner.Impression", Banner, Impression),
    ("users.messages.contentcard.Abort", ContentCard, Abort),
    ("users.messages.contentcard.Click", ContentCard, Click),
    ("users.messages.contentcard.Dismiss", ContentCard, Dismiss),
    ("users.messages.contentcard.Impression", ContentCard, Impression),
    ("users.messages.contentcard.Send", ContentCard, Send),
    ("users.messages.email.Abort", Email, Abort),
    ("users.messages.email.Bounce", Email, Bounce),
    ("users.messages.email.Click", Email, Click),
    ("users.messages.email.Deferral", Email, Deferral),
    ("users.messages.email.Delivery", Email, Delivery),
    ("users.messages.email.MarkAsSpam", Email, MarkAsSpam),
    ("users.messages.email.Open", Email, Open),
    ("users.messages.email.Retry", Email, Retry),
    ("users.messages.email.Send", Email, Send),
    ("users.messages.email.SoftBounce", Email, SoftBounce),
    ("users.messages.email.Unsubscribe", Email, Unsubscribe),
    ("users.messages.featureflag.Impression", FeatureFlag, Impression),
    ("users.messages.inappmessage.Abort", InAppMessage, Abort),
    ("users.messages.inappmessage.Click", InAppMessage, Click),
    ("users.messages.inappmessage.Impression", InAppMessage, Impression),
    ("users.messages.line.Abort", Line, Abort),
    ("users.messages.line.Click", Line, Click),
    ("users.messages.line.InboundReceive", Line, Inbound),
    ("users.messages.line.Retry", Line, Retry),
    ("users.messages.line.Send", Line, Send),
    ("users.messages.liveactivity.Outcome", LiveActivity, Outcome),
    ("users.messages.liveactivity.Send", LiveActivity, Send),
    ("users.messages.newsfeedcard.Abort", NewsFeed, Abort),
    ("users.messages.newsfeedcard.Click", NewsFeed, Click),
    ("users.messages.newsfeedcard.Impression", NewsFeed, Impression),
    ("users.messages.pushnotification.Abort", Push, Abort),
    ("users.messages.pushnotification.Bounce", Push, Bounce),
    ("users.messages.pushnotification.IosForeground", Push, Foreground),
    ("users.messages.pushnotification.Open", Push, Open),
    ("users.messages.pushnotification.Retry", Push, Retry),
    ("users.messages.pushnotification.Send", Push, Send),
    ("users.messages.rcs.Abort", Rcs, Abort),
    ("users.messages.rcs.Click", Rcs, Click),
    ("users.messages.rcs.Delivery", Rcs, Delivery),
    ("users.messages.rcs.InboundReceive", Rcs, Inbound),
    ("users.messages.rcs.Read", Rcs, Read),
    ("users.messages.rcs.Rejection", Rcs, Rejection),
    ("users.messages.rcs.Send", Rcs, Send),
    ("users.messages.sms.Abort", Sms, Abort),
    ("users.messages.sms.CarrierSend", Sms, CarrierSend),
    ("users.messages.sms.Delivery", Sms, Delivery),
    ("users.messages.sms.DeliveryFailure", Sms, Failure),
    ("users.messages.sms.InboundReceive", Sms, Inbound),
    ("users.messages.sms.Rejection", Sms, Rejection),
    ("users.messages.sms.Retry", Sms, Retry),
    ("users.messages.sms.Send", Sms, Send),
    ("users.messages.sms.ShortLinkClick", Sms, Click),
    ("users.messages.webhook.Abort", Webhook, Abort),
    ("users.messages.webhook.Failure", Webhook, Failure),
    ("users.messages.webhook.Retry", Webhook, Retry),
    ("users.messages.webhook.Send", Webhook, Send),
    ("users.messages.whatsapp.Abort", Whatsapp, Abort),
    ("users.messages.whatsapp.Click", Whatsapp, Click),
    ("users.messages.whatsapp.Delivery", Whatsapp, Delivery),
    ("users.messages.whatsapp.Failure", Whatsapp, Failure),
    ("users.messages.whatsapp.InboundReceive", Whatsapp, Inbound),
    ("users.messages.whatsapp.Read", Whatsapp, Read),
    ("users.messages.whatsapp.Retry", Whatsapp, Retry),
    ("users.messages.whatsapp.Send", Whatsapp, Send),
    ("users.profile.Update", NONE, ProfileUpdate),
];

/// The channel and the action of a type.
pub(super) fn of(event_type: &str) -> (Channel, Action) {
    if let Ok(place) = TYPES.binary_search_by(|(name, ..)| (*name).cmp(event_type)) {
        let (_, channel, action) = TYPES[place];
        return (channel, action);
    }
    let Some((family, word)) = event_type.rsplit_once('.') else {
        return (NONE, Action::Unspecified);
    };
    let messages = || TYPES.iter().filter(|(name, ..)| name.starts_with(MESSAGES));
    let parts = |name: &'static str| name.rsplit_once('.').unwrap_or_default();
    let channel = messages().find(|(name, ..)| parts(name).0 == family);
    let action = messages().find(|(name, ..)| event_type.starts_with(MESSAGES) && parts(name).1 == word);
    (
        channel.map_or(NONE, |(_, channel, _)| *channel),
        action.map_or(Action::Unspecified, |(.., action)| *action),
    )
}

/// The channel that Braze means by a word, such as `email` or `whats_app`.
pub(super) fn channel(word: &str) -> Option<Channel> {
    let word: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
    let word = word.to_ascii_lowercase();
    match &*word {
        "push" => Some(Push),
        word => {
            let family = format!("{MESSAGES}{word}.");
            let (_, channel, _) = TYPES.iter().find(|(name, ..)| name.starts_with(&family))?;
            Some(*channel)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_in_the_order_of_their_names_so_that_each_is_found() {
        assert!(TYPES.is_sorted_by(|(a, ..), (b, ..)| a < b));
        for (name, channel, action) in TYPES {
            assert_eq!(of(name), (*channel, *action), "{name}");
        }
    }

    #[test]
    fn a_new_type_has_the_channel_of_its_siblings_and_the_action_of_its_last_word() {
        for (name, expected) in [
            ("users.messages.email.Forward", (Email, Action::Unspecified)),
            ("users.messages.fax.Open", (NONE, Open)),
            ("users.messages.whatsapp.Bounce", (Whatsapp, Bounce)),
            ("users.behaviors.Open", (NONE, Action::Unspecified)),
            ("users.behaviors.pushnotification.Wave", (NONE, Action::Unspecified)),
            ("Open", (NONE, Action::Unspecified)),
            ("", (NONE, Action::Unspecified)),
        ] {
            assert_eq!(of(name), expected, "{name}");
        }
    }

    #[test]
    fn a_channel_is_known_by_its_word_however_it_is_spelled() {
        for (word, expected) in [
            ("email", Some(Email)),
            ("SMS", Some(Sms)),
            ("whats_app", Some(Whatsapp)),
            ("WhatsApp", Some(Whatsapp)),
            ("push", Some(Push)),
            ("push_notification", Some(Push)),
            ("in_app_message", Some(InAppMessage)),
            ("fax", None),
            ("", None),
        ] {
            assert_eq!(channel(word), expected, "{word}");
        }
    }
}

//! Which field of Braze's has which place in an activity.

use proto::profile::v1::{Activity, Campaign, Canvas, Channel, Device, Link, Message, Subscription};
use serde_json::value::RawValue;

use super::{members, types};

type Place = fn(&mut Activity) -> &mut String;

/// Fields that are texts, by the name that they have in every type. The others are in [`take`].
const TEXTS: &[(&str, Place)] = &[
    ("app_id", |a| &mut device(a).app_id),
    ("browser", |a| &mut device(a).browser),
    ("campaign_id", |a| &mut campaign(a).id),
    ("campaign_name", |a| &mut campaign(a).name),
    ("canvas_id", |a| &mut canvas(a).id),
    ("canvas_name", |a| &mut canvas(a).name),
    ("canvas_step_id", |a| &mut canvas(a).step_id),
    ("canvas_step_message_variation_id", |a| {
        &mut canvas(a).step_message_variation_id
    }),
    ("canvas_step_name", |a| &mut canvas(a).step_name),
    ("canvas_variation_id", |a| &mut canvas(a).variation_id),
    ("canvas_variation_name", |a| &mut canvas(a).variation_name),
    ("device_class", |a| &mut device(a).device_class),
    ("device_id", |a| &mut device(a).id),
    ("device_model", |a| &mut device(a).model),
    ("device_os", |a| &mut device(a).os),
    ("dispatch_id", |a| &mut message(a).dispatch_id),
    ("link_alias", |a| &mut link(a).alias),
    ("link_id", |a| &mut link(a).id),
    ("message_variation_id", |a| &mut message(a).variation_id),
    ("message_variation_name", |a| &mut message(a).variation_name),
    ("os_version", |a| &mut device(a).os_version),
    ("platform", |a| &mut device(a).platform),
    ("send_id", |a| &mut message(a).send_id),
    ("short_url", |a| &mut link(a).short_url),
    ("state_change_source", |a| &mut subscription(a).change_source),
    ("subscription_group_id", |a| &mut subscription(a).group_id),
    ("subscription_status", |a| &mut subscription(a).status),
    ("url", |a| &mut link(a).url),
    ("user_agent", |a| &mut device(a).user_agent),
];

/// Puts a field into its place; whether it needs no other, because it is there now or says nothing.
pub(super) fn take(activity: &mut Activity, name: &str, value: &RawValue) -> bool {
    if let Some((_, place)) = TEXTS.iter().find(|(text, _)| *text == name) {
        return match serde_json::from_str::<Option<String>>(value.get()) {
            Ok(text) => text
                .filter(|text| !text.is_empty())
                .is_none_or(|text| put(place(activity), text)),
            Err(_) => false,
        };
    }
    match name {
        "machine_open" => put_flag(&mut activity.machine_open, value),
        "is_suspected_bot_click" => put_flag(&mut activity.suspected_bot_click, value),
        "suspected_bot_click_reason" => match serde_json::from_str::<Option<Vec<String>>>(value.get()) {
            Ok(reasons) => reasons.is_none_or(|reasons| put(&mut activity.suspected_bot_click_reasons, reasons)),
            Err(_) => false,
        },
        // Of a type that is no channel's own, such as a change of subscription.
        "channel" if activity.channel() == Channel::Unspecified => {
            let word = members::text(value);
            let channel = word.as_deref().and_then(types::channel);
            channel.is_some_and(|channel| {
                activity.set_channel(channel);
                true
            })
        }
        _ => false,
    }
}

/// Whether the place was free.
fn put<T: Default + PartialEq>(place: &mut T, value: T) -> bool {
    let is_free = *place == T::default();
    if is_free {
        *place = value;
    }
    is_free
}

/// Braze writes some flags as truth values and some as texts; a webhook's template, all as texts.
fn put_flag(place: &mut Option<bool>, value: &RawValue) -> bool {
    match value.get() {
        "true" | "\"true\"" => put(place, Some(true)),
        "false" | "\"false\"" => put(place, Some(false)),
        "null" | "\"\"" => true,
        _ => false,
    }
}

fn campaign(activity: &mut Activity) -> &mut Campaign {
    activity.campaign.get_or_insert_default()
}

fn canvas(activity: &mut Activity) -> &mut Canvas {
    activity.canvas.get_or_insert_default()
}

fn message(activity: &mut Activity) -> &mut Message {
    activity.message.get_or_insert_default()
}

fn link(activity: &mut Activity) -> &mut Link {
    activity.link.get_or_insert_default()
}

fn device(activity: &mut Activity) -> &mut Device {
    activity.device.get_or_insert_default()
}

fn subscription(activity: &mut Activity) -> &mut Subscription {
    activity.subscription.get_or_insert_default()
}

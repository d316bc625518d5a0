//! An activity as people read it: what it says and no more, channel and action as words.

use proto::profile::v1::{Activity, Campaign, Canvas, Device, Link, Message, Subscription};
use serde::Serialize;
use serde_json::{Map, Value};

#[derive(Serialize)]
pub(super) struct Readable<'a> {
    #[serde(rename = "type")]
    event_type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canvas: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    machine_open: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspected_bot_click: Option<bool>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    suspected_bot_click_reasons: &'a [String],
    /// As JSON within JSON it would be hard to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    rest: Option<Value>,
}

impl<'a> From<&'a Activity> for Readable<'a> {
    fn from(activity: &'a Activity) -> Self {
        Self {
            event_type: &activity.event_type,
            id: &activity.id,
            channel: word(activity.channel().as_str_name(), "CHANNEL_"),
            action: word(activity.action().as_str_name(), "ACTION_"),
            campaign: activity.campaign.as_ref().map(campaign),
            canvas: activity.canvas.as_ref().map(canvas),
            message: activity.message.as_ref().map(message),
            link: activity.link.as_ref().map(link),
            device: activity.device.as_ref().map(device),
            subscription: activity.subscription.as_ref().map(subscription),
            machine_open: activity.machine_open,
            suspected_bot_click: activity.suspected_bot_click,
            suspected_bot_click_reasons: &activity.suspected_bot_click_reasons,
            rest: serde_json::from_str(&activity.rest).ok(),
        }
    }
}

/// The last part of a constant's name, in lower case; nothing if it is not specified.
fn word(constant: &str, prefix: &str) -> Option<String> {
    let word = constant.strip_prefix(prefix)?;
    (word != "UNSPECIFIED").then(|| word.to_ascii_lowercase())
}

fn texts<const N: usize>(texts: [(&str, &String); N]) -> Map<String, Value> {
    let said = texts.into_iter().filter(|(_, text)| !text.is_empty());
    said.map(|(name, text)| (name.to_owned(), text.as_str().into()))
        .collect()
}

fn campaign(Campaign { id, name }: &Campaign) -> Map<String, Value> {
    texts([("id", id), ("name", name)])
}

fn canvas(
    Canvas {
        id,
        name,
        variation_id,
        variation_name,
        step_id,
        step_name,
        step_message_variation_id,
    }: &Canvas,
) -> Map<String, Value> {
    texts([
        ("id", id),
        ("name", name),
        ("variation_id", variation_id),
        ("variation_name", variation_name),
        ("step_id", step_id),
        ("step_name", step_name),
        ("step_message_variation_id", step_message_variation_id),
    ])
}

fn message(
    Message {
        variation_id,
        variation_name,
        dispatch_id,
        send_id,
    }: &Message,
) -> Map<String, Value> {
    texts([
        ("variation_id", variation_id),
        ("variation_name", variation_name),
        ("dispatch_id", dispatch_id),
        ("send_id", send_id),
    ])
}

fn link(
    Link {
        url,
        short_url,
        id,
        alias,
    }: &Link,
) -> Map<String, Value> {
    texts([("url", url), ("short_url", short_url), ("id", id), ("alias", alias)])
}

fn device(
    Device {
        id,
        app_id,
        platform,
        os,
        os_version,
        model,
        device_class,
        browser,
        user_agent,
    }: &Device,
) -> Map<String, Value> {
    texts([
        ("id", id),
        ("app_id", app_id),
        ("platform", platform),
        ("os", os),
        ("os_version", os_version),
        ("model", model),
        ("device_class", device_class),
        ("browser", browser),
        ("user_agent", user_agent),
    ])
}

fn subscription(
    Subscription {
        group_id,
        status,
        change_source,
    }: &Subscription,
) -> Map<String, Value> {
    texts([
        ("group_id", group_id),
        ("status", status),
        ("change_source", change_source),
    ])
}

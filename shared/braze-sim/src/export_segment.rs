//! `POST /users/export/segment`: what is asked for, and whether an export starts (reference §5.1, §5.2).

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use rand::Rng;
use serde_json::{Value, json};

use crate::call::Answer;
use crate::downloads;
use crate::endpoint::{Asked, Endpoint};
use crate::export::{self, Job};
use crate::exports::Export;
use crate::pack::Format;
use crate::segments::Segment;
use crate::shared::Shared;
use crate::track::broken_json;

/// Most single custom attributes of one export.
const CUSTOM_ATTRIBUTES_MAX: usize = 500;

pub(crate) const EXPORT_SEGMENT: Endpoint = Endpoint {
    path: "/users/export/segment",
    permission: "users.export.segment",
    limits: |settings| &settings.shared_limits,
    limiter: |workspace| &mut workspace.pool,
    carry_out: start,
};

/// What a body asks for.
struct Wish {
    segment_id: String,
    fields: BTreeSet<String>,
    custom_attributes: BTreeSet<String>,
    callback: Option<reqwest::Url>,
    format: Format,
}

fn start(shared: &Arc<Shared>, asked: Asked) -> Answer {
    let Ok(body) = serde_json::from_slice::<Value>(&asked.body) else {
        return Answer {
            status: 400,
            body: broken_json(),
        };
    };
    let wish = match Wish::read(&body) {
        Ok(wish) => wish,
        Err(text) => return Answer::message(400, text),
    };
    match begin(shared, wish, &asked) {
        Ok(job) => {
            let mut body = json!({ "message": "success", "object_prefix": job.prefix });
            if let Some(url) = &job.url {
                body["url"] = json!(url);
            }
            shared.tasks.spawn(export::run(Arc::clone(shared), job));
            Answer { status: 201, body }
        }
        Err(refusal) => refusal,
    }
}

fn begin(shared: &Shared, wish: Wish, asked: &Asked) -> Result<Job, Answer> {
    let state = &mut *shared.state();
    let mut segments = state.segments.of(&asked.workspace);
    let segment: Segment = segments
        .find(|segment| segment.id == wish.segment_id)
        .ok_or_else(|| Answer::message(400, "The segment could not be found"))?;
    drop(segments);
    let runs = |run: &Export| (&run.workspace, &run.segment_id) == (&asked.workspace, &segment.id);
    if state.exports.running().any(runs) {
        return Err(Answer::message(429, "An export of this segment is already running"));
    }
    let settings = &state.settings.segment_export;
    if state.exports.running().count() >= settings.running_max {
        return Err(Answer::message(429, "Too many exports are running"));
    }
    let started_at = Timestamp::now();
    let prefix = format!("{}-{}", uuid(state.random.random()), started_at.as_second());
    state.exports.begin(Export {
        workspace: asked.workspace.clone(),
        segment_id: segment.id.clone(),
        object_prefix: prefix.clone(),
        started_at,
        ended_at: None,
        files: Vec::new(),
        users: 0,
        callbacks: Vec::new(),
        error: None,
    });
    let in_storage = shared.store.is_some();
    let address = shared.address.to_string();
    let host = asked.host.as_ref().unwrap_or(&address);
    Ok(Job {
        segment,
        fields: wish.fields,
        custom_attributes: wish.custom_attributes,
        callback: wish.callback,
        format: if in_storage { wish.format } else { Format::Zip },
        url: (!in_storage).then(|| format!("{}://{host}{}", shared.scheme, downloads::path(&prefix))),
        prefix,
        delay: asked.apply_after().unwrap_or(settings.delay),
        fault: asked.fault.clone(),
    })
}

impl Wish {
    fn read(body: &Value) -> Result<Self, &'static str> {
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        let names = |key: &str| -> BTreeSet<String> {
            let names = body.get(key).and_then(Value::as_array);
            let names = names.into_iter().flatten().filter_map(Value::as_str);
            names.map(str::to_owned).collect()
        };
        let fields = names("fields_to_export");
        if fields.is_empty() {
            return Err("'fields_to_export' is required");
        }
        let custom_attributes = names("custom_attributes_to_export");
        if custom_attributes.len() > CUSTOM_ATTRIBUTES_MAX {
            return Err("'custom_attributes_to_export' may have at most 500 names");
        }
        let callback = text("callback_endpoint").map(|url| {
            let url = url.parse::<reqwest::Url>().ok();
            url.filter(|url| ["http", "https"].contains(&url.scheme()))
                .ok_or("'callback_endpoint' is not a valid URL")
        });
        Ok(Self {
            segment_id: text("segment_id").ok_or("'segment_id' is required")?.to_owned(),
            fields,
            custom_attributes,
            callback: callback.transpose()?,
            format: match text("output_format") {
                None | Some("zip") => Format::Zip,
                Some("gzip") => Format::Gzip,
                Some(_) => return Err("'output_format' must be zip or gzip"),
            },
        })
    }
}

/// A random UUID, version 4, of these bits.
fn uuid(random: u128) -> String {
    let hex = format!(
        "{:032x}",
        random & !(0xF << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62)
    );
    let cut = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}",
        cut(0, 8),
        cut(8, 12),
        cut(12, 16),
        cut(16, 20),
        cut(20, 32)
    )
}

//! What a job writes to Braze, by its type.

use std::borrow::Cow;

use proto::export::v1 as wire;

use super::{AudienceEvents, ExportJob, Purchases, Source};

/// The name of a job's events, unless it says another one.
pub const EVENT_NAME: &str = "lytics_audience";

/// What a job writes to Braze.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Writes {
    /// The slugs of its audiences, into an attribute of users.
    #[default]
    Attribute,
    /// A custom event for each change of membership.
    Events(CustomEvents),
    /// A purchase for each change of membership.
    Purchases(Box<Purchases>),
}

/// The events of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomEvents {
    /// Their name: one that Braze takes.
    pub name: String,
    /// Membership field that holds their time.
    pub time_field: Option<String>,
}

impl Default for CustomEvents {
    fn default() -> Self {
        Self {
            name: EVENT_NAME.to_owned(),
            time_field: None,
        }
    }
}

impl Writes {
    /// All types of jobs.
    pub const TYPES: [&'static str; 3] = ["export_audiences", "export_events", "export_purchases"];

    /// The type of the job, as the contracts write it.
    pub fn type_name(&self) -> &'static str {
        let [audiences, events, purchases] = Self::TYPES;
        match self {
            Self::Attribute => audiences,
            Self::Events(_) => events,
            Self::Purchases(_) => purchases,
        }
    }

    /// Whether it is an attribute, of which Braze holds what was written last; all else is said once, and stays said.
    pub fn is_attribute(&self) -> bool {
        *self == Self::Attribute
    }

    /// The settings that name membership fields, and the names.
    pub fn fields(&self) -> Vec<(&'static str, &str)> {
        let all = match self {
            Self::Attribute => Vec::new(),
            Self::Events(events) => vec![("event_time_field", events.time_field.as_deref())],
            Self::Purchases(purchases) => vec![
                ("purchase_product_id", purchases.product_id.field()),
                ("purchase_price", purchases.price.field()),
                ("purchase_currency", purchases.currency.field()),
                ("purchase_quantity", purchases.quantity.field()),
                ("purchase_time_field", purchases.time_field.as_deref()),
            ],
        };
        let named = |(setting, field): (_, Option<_>)| Some((setting, field?));
        all.into_iter().filter_map(named).collect()
    }

    pub(super) fn write(&self, job: &mut wire::ExportJob) {
        self.type_name().clone_into(&mut job.r#type);
        match self {
            Self::Attribute => {}
            Self::Events(events) => {
                job.event_name.clone_from(&events.name);
                job.event_time_field = events.time_field.clone().unwrap_or_default();
            }
            Self::Purchases(purchases) => purchases.write(job),
        }
    }

    /// What a job of that type writes. `None`: a type that this version does not know.
    pub fn read(job: &wire::ExportJob) -> Option<Self> {
        let [audiences, events, purchases] = Self::TYPES;
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        match job.r#type.as_str() {
            of if of == audiences => Some(Self::Attribute),
            of if of == events => Some(Self::Events(CustomEvents {
                name: text(&job.event_name).unwrap_or_else(|| EVENT_NAME.to_owned()),
                time_field: text(&job.event_time_field),
            })),
            of if of == purchases => Some(Self::Purchases(Box::new(Purchases::read(job)))),
            _ => None,
        }
    }
}

impl ExportJob {
    /// What tells where its changes go at Braze: the name of the attribute, or what is the name of none, since it begins with a
    /// blank. Two jobs of one place would write the same.
    pub fn place(&self) -> Cow<'_, str> {
        match &self.options.writes {
            Writes::Attribute => Cow::Borrowed(&self.options.attribute),
            Writes::Events(events) => Cow::Owned(format!(" event {}", events.name)),
            Writes::Purchases(purchases) => Cow::Owned(match &purchases.product_id {
                Source::Constant(product) => format!(" purchase of {product}"),
                Source::Field(field) => format!(" purchase of what is in {field}"),
            }),
        }
    }

    /// Whether whoever was sent under an earlier identifier is told that it is no member any more: of an attribute always, since Braze
    /// holds it; of events if exits are sent; of purchases never.
    pub fn leaves_earlier(&self) -> bool {
        match &self.options.writes {
            Writes::Attribute => true,
            Writes::Events(_) => self.events != AudienceEvents::Enters,
            Writes::Purchases(_) => false,
        }
    }
}

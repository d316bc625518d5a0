//! What a job writes to Braze.

use clap::{Args, ValueEnum};
use proto::export::v1 as wire;
use proto::export::v1::purchase_value;

#[derive(Debug, Args)]
pub(super) struct Writes {
    /// What the job writes to Braze. It cannot be changed later.
    #[arg(long = "type", value_enum, default_value_t = Type::Audiences)]
    of: Type,
    /// With --type events: name of the events; without it, lytics_audience. Their properties are audience, a slug, and action, entered or
    /// exited.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    event_name: String,
    /// With --type events: profile field that holds the time of the events, such as 2026-01-31T10:00:00Z, a date, or seconds since 1970.
    /// Without it, and for whoever has none there, it is the time of the change.
    #[arg(long, value_name = "FIELD", default_value = "", hide_default_value = true)]
    event_time_field: String,
    #[command(flatten)]
    purchase: Purchase,
}

/// Each value is a constant, or in a profile field.
#[derive(Debug, Args)]
struct Purchase {
    /// With --type purchases: what was bought. Its properties are those of an event.
    #[arg(long, value_name = "ID", conflicts_with = "product_id_field")]
    product_id: Option<String>,
    /// With --type purchases: profile field that holds it.
    #[arg(long, value_name = "FIELD")]
    product_id_field: Option<String>,
    /// With --type purchases: the price of one unit, such as 9.50.
    #[arg(
        long,
        value_name = "NUMBER",
        conflicts_with = "price_field",
        allow_negative_numbers = true
    )]
    price: Option<String>,
    /// With --type purchases: profile field that holds it.
    #[arg(long, value_name = "FIELD")]
    price_field: Option<String>,
    /// With --type purchases: the currency, such as EUR.
    #[arg(long, value_name = "CODE", conflicts_with = "currency_field")]
    currency: Option<String>,
    /// With --type purchases: profile field that holds it.
    #[arg(long, value_name = "FIELD")]
    currency_field: Option<String>,
    /// With --type purchases: how many, from 1 to 100; without it, 1.
    #[arg(long, value_name = "NUMBER", conflicts_with = "quantity_field")]
    quantity: Option<String>,
    /// With --type purchases: profile field that holds it.
    #[arg(long, value_name = "FIELD")]
    quantity_field: Option<String>,
    /// With --type purchases: profile field that holds the time, as --event-time-field.
    #[arg(long, value_name = "FIELD", default_value = "", hide_default_value = true)]
    purchase_time_field: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Type {
    /// The slugs of its audiences, into an attribute of users.
    Audiences,
    /// A custom event for each enter and each exit. Each costs a data point, and none is folded with another.
    Events,
    /// A purchase for each enter, or for what --events says. The same holds for it.
    Purchases,
}

impl Writes {
    /// Writes it into a job.
    pub(super) fn write(self, job: &mut wire::ExportJob) {
        job.r#type = match self.of {
            Type::Audiences => "export_audiences",
            Type::Events => "export_events",
            Type::Purchases => "export_purchases",
        }
        .to_owned();
        job.event_name = self.event_name;
        job.event_time_field = self.event_time_field;
        let purchase = self.purchase;
        job.purchase_product_id = value(purchase.product_id, purchase.product_id_field);
        job.purchase_price = value(purchase.price, purchase.price_field);
        job.purchase_currency = value(purchase.currency, purchase.currency_field);
        job.purchase_quantity = value(purchase.quantity, purchase.quantity_field);
        job.purchase_time_field = purchase.purchase_time_field;
    }
}

fn value(constant: Option<String>, field: Option<String>) -> Option<wire::PurchaseValue> {
    let constant = constant.map(purchase_value::Source::Constant);
    let source = constant.or(field.map(purchase_value::Source::Field))?;
    Some(wire::PurchaseValue { source: Some(source) })
}

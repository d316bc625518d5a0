//! Where the values of purchases come from, checked.

use braze::{Purchase, PurchaseError};
use control::{Purchases, Source};
use proto::export::v1::ExportJob;
use runtime::grpc::status::Violations;

use super::writes::time_field;

/// Notes what is wrong with each of them.
pub(super) fn check(violations: &mut Violations, purchases: &Purchases) {
    let mut source = |field: &str, source: &Source, read: &dyn Fn(&str) -> Result<(), PurchaseError>| {
        let problem = match source {
            Source::Constant(value) => read(value).err().map(|error| error.to_string()),
            Source::Field(name) if name.is_empty() || name.trim() != name => {
                Some("must have a constant, or the name of a membership field, without blanks around it".to_owned())
            }
            Source::Field(_) => None,
        };
        if let Some(problem) = problem {
            violations.add(format!("export_job.{field}"), problem);
        }
    };
    let Purchases {
        product_id,
        price,
        currency,
        quantity,
        ..
    } = purchases;
    source("purchase_product_id", product_id, &|text| {
        Purchase::product_id(text).map(drop)
    });
    source("purchase_price", price, &|text| Purchase::price(text).map(drop));
    source("purchase_currency", currency, &|text| {
        Purchase::currency(text).map(drop)
    });
    source("purchase_quantity", quantity, &|text| {
        Purchase::quantity(text).map(drop)
    });
    time_field(violations, "purchase_time_field", purchases.time_field.as_deref());
}

/// What only jobs of this type have is a mistake in another.
pub(super) fn none(violations: &mut Violations, job: &ExportJob) {
    for (field, given) in [
        ("purchase_product_id", job.purchase_product_id.is_some()),
        ("purchase_price", job.purchase_price.is_some()),
        ("purchase_currency", job.purchase_currency.is_some()),
        ("purchase_quantity", job.purchase_quantity.is_some()),
        ("purchase_time_field", !job.purchase_time_field.is_empty()),
    ] {
        if given {
            let problem = "must be unset: only jobs of type export_purchases send purchases";
            violations.add(format!("export_job.{field}"), problem);
        }
    }
}

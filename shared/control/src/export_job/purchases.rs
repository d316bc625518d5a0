//! Where the values of a job's purchases come from.

use proto::export::v1 as wire;
use proto::export::v1::PurchaseValue;
use proto::export::v1::purchase_value;

/// The purchases of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchases {
    /// What was bought.
    pub product_id: Source,
    /// At which price a unit.
    pub price: Source,
    /// In which currency.
    pub currency: Source,
    /// How many; one, if nothing says so.
    pub quantity: Source,
    /// Membership field that holds their time.
    pub time_field: Option<String>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It is the same for all.
    Constant(String),
    /// A membership field holds it.
    Field(String),
}

impl Source {
    /// As the contracts write it.
    pub fn to_wire(&self) -> PurchaseValue {
        let source = match self.clone() {
            Self::Constant(value) => purchase_value::Source::Constant(value),
            Self::Field(name) => purchase_value::Source::Field(name),
        };
        PurchaseValue { source: Some(source) }
    }

    /// The name of the field, if it is in one.
    pub(super) fn field(&self) -> Option<&str> {
        match self {
            Self::Constant(_) => None,
            Self::Field(name) => Some(name),
        }
    }

    fn read(value: Option<&PurchaseValue>) -> Option<Self> {
        match value?.source.clone()? {
            purchase_value::Source::Constant(value) => Some(Self::Constant(value)),
            purchase_value::Source::Field(name) => Some(Self::Field(name)),
        }
    }
}

impl Purchases {
    pub(super) fn write(&self, job: &mut wire::ExportJob) {
        job.purchase_product_id = Some(self.product_id.to_wire());
        job.purchase_price = Some(self.price.to_wire());
        job.purchase_currency = Some(self.currency.to_wire());
        job.purchase_quantity = Some(self.quantity.to_wire());
        job.purchase_time_field = self.time_field.clone().unwrap_or_default();
    }

    /// What is not said comes from a field without a name, which nobody has.
    pub(super) fn read(job: &wire::ExportJob) -> Self {
        let source = |value: Option<&PurchaseValue>| Source::read(value).unwrap_or(Source::Field(String::new()));
        Self {
            product_id: source(job.purchase_product_id.as_ref()),
            price: source(job.purchase_price.as_ref()),
            currency: source(job.purchase_currency.as_ref()),
            quantity: Source::read(job.purchase_quantity.as_ref()).unwrap_or(Source::Constant("1".to_owned())),
            time_field: Some(job.purchase_time_field.clone()).filter(|field| !field.is_empty()),
        }
    }
}

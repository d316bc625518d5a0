//! What an object of `events` or `purchases` says: something that happened to a user, rather than what the user is.

use jiff::Timestamp;

use crate::array::Array;
use crate::attribute::{Clause, VALUE_CHARS_MAX};
use crate::json::push_text;

/// Why a text cannot be the name of a custom event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventNameError {
    /// Braze wants one; blanks around it would be lost.
    #[error("an event name must not be empty, nor begin or end with a blank")]
    Blank,
    /// Over [`VALUE_CHARS_MAX`].
    #[error("an event name has at most {VALUE_CHARS_MAX} characters")]
    TooLong,
    /// Names with it are Braze's own.
    #[error("an event name must not begin with $")]
    Dollar,
}

/// Checks the name of a custom event, such as `lytics_audience`.
///
/// # Errors
/// [`EventNameError`] if Braze would refuse it or take it for something else.
pub fn check_event_name(name: &str) -> Result<(), EventNameError> {
    if name.is_empty() || name.trim() != name {
        return Err(EventNameError::Blank);
    }
    if name.chars().count() > VALUE_CHARS_MAX {
        return Err(EventNameError::TooLong);
    }
    if name.starts_with('$') {
        return Err(EventNameError::Dollar);
    }
    Ok(())
}

/// Units of one purchase, at most; more are other purchases.
pub const QUANTITY_MAX: u8 = 100;

/// A purchase, of values that Braze takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Purchase {
    product_id: String,
    currency: String,
    price: f64,
    quantity: u8,
}

/// Which value of a purchase Braze would not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PurchaseError {
    /// Empty, or over [`VALUE_CHARS_MAX`].
    #[error("a product id has 1 to {VALUE_CHARS_MAX} characters")]
    ProductId,
    /// Not three letters.
    #[error("a currency is a code of three letters (ISO 4217), such as EUR")]
    Currency,
    /// No number.
    #[error("a price is a number, such as 9.50")]
    Price,
    /// No number from 1 to [`QUANTITY_MAX`].
    #[error("a quantity is a whole number from 1 to {QUANTITY_MAX}")]
    Quantity,
}

impl Purchase {
    /// Reads the values; blanks around them do not count.
    ///
    /// # Errors
    /// [`PurchaseError`]: the first that Braze would refuse.
    pub fn read(product_id: &str, price: &str, currency: &str, quantity: &str) -> Result<Self, PurchaseError> {
        Ok(Self {
            product_id: Self::product_id(product_id)?,
            price: Self::price(price)?,
            currency: Self::currency(currency)?,
            quantity: Self::quantity(quantity)?,
        })
    }

    /// Reads a product id.
    ///
    /// # Errors
    /// [`PurchaseError::ProductId`].
    pub fn product_id(text: &str) -> Result<String, PurchaseError> {
        let text = text.trim();
        let is_one = (1..=VALUE_CHARS_MAX).contains(&text.chars().count());
        is_one.then(|| text.to_owned()).ok_or(PurchaseError::ProductId)
    }

    /// Reads a price.
    ///
    /// # Errors
    /// [`PurchaseError::Price`].
    pub fn price(text: &str) -> Result<f64, PurchaseError> {
        let price = text.trim().parse().ok();
        price
            .filter(|price: &f64| price.is_finite())
            .ok_or(PurchaseError::Price)
    }

    /// Reads a currency; its letters may be small.
    ///
    /// # Errors
    /// [`PurchaseError::Currency`].
    pub fn currency(text: &str) -> Result<String, PurchaseError> {
        let text = text.trim();
        let is_one = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        is_one.then(|| text.to_ascii_uppercase()).ok_or(PurchaseError::Currency)
    }

    /// Reads how many.
    ///
    /// # Errors
    /// [`PurchaseError::Quantity`].
    pub fn quantity(text: &str) -> Result<u8, PurchaseError> {
        let quantity = text.trim().parse().ok();
        quantity
            .filter(|many| (1..=QUANTITY_MAX).contains(many))
            .ok_or(PurchaseError::Quantity)
    }
}

impl Clause {
    /// A purchase with properties: as an event, each such object is a purchase of its own.
    pub fn purchase(existing_only: bool, purchase: &Purchase, time: Timestamp, properties: &[(&str, &str)]) -> Self {
        let mut clause = Self::of(existing_only).into_array(Array::Purchases);
        clause.member("product_id", &purchase.product_id);
        clause.member("currency", &purchase.currency);
        let numbers = format!(r#","price":{},"quantity":{}"#, purchase.price, purchase.quantity);
        clause.buffer().extend_from_slice(numbers.as_bytes());
        clause.happened(time, properties);
        clause
    }

    /// A custom event with properties. Every such object is an event of its own: Braze does not recognise one that is sent twice, so a
    /// repeat has to say the same in every word.
    pub fn event(existing_only: bool, name: &str, time: Timestamp, properties: &[(&str, &str)]) -> Self {
        let mut clause = Self::of(existing_only).into_array(Array::Events);
        clause.member("name", name);
        clause.happened(time, properties);
        clause
    }

    /// When, and what else is to be known of it: the end of an object.
    fn happened(&mut self, time: Timestamp, properties: &[(&str, &str)]) {
        self.member("time", &time.to_string());
        let buffer = self.buffer();
        buffer.extend_from_slice(br#","properties":{"#);
        for (number, (key, value)) in properties.iter().enumerate() {
            if number > 0 {
                buffer.push(b',');
            }
            push_text(buffer, key);
            buffer.push(b':');
            push_text(buffer, value);
        }
        buffer.push(b'}');
        // It may wait for long, among many.
        buffer.shrink_to_fit();
    }

    /// `,"<key>":"<text>"`.
    fn member(&mut self, key: &str, text: &str) {
        let buffer = self.buffer();
        buffer.push(b',');
        push_text(buffer, key);
        buffer.push(b':');
        push_text(buffer, text);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{Identifier, TrackBuilder};

    #[test]
    fn a_name_that_braze_does_not_take_is_none() {
        for name in ["", " ", " x", "x\n"] {
            assert_eq!(check_event_name(name), Err(EventNameError::Blank), "{name:?}");
        }
        assert_eq!(check_event_name(&"ä".repeat(256)), Err(EventNameError::TooLong));
        assert_eq!(check_event_name("$x"), Err(EventNameError::Dollar));
        assert_eq!(check_event_name(&"ä".repeat(255)), Ok(()));
        assert_eq!(check_event_name("entered an audience"), Ok(()));
    }

    #[test]
    fn a_purchase_is_written_as_braze_documents_it_and_what_it_does_not_take_is_none() {
        let time = "2026-01-01T10:00:00Z".parse().unwrap();
        let purchase = Purchase::read(" sku \"7\" ", "9.50", "eur", "2").unwrap();
        let mut builder = TrackBuilder::new(75, crate::BODY_BYTES_MAX);
        let kim = Identifier::ExternalId("kim".into());
        let clause = Clause::purchase(true, &purchase, time, &[("audience", "vip")]);
        builder.push(&kim, &clause).unwrap();
        let body: Value = serde_json::from_slice(builder.finish().body()).unwrap();
        assert_eq!(
            body,
            json!({"purchases": [
                {"external_id": "kim", "_update_existing_only": true, "product_id": "sku \"7\"", "currency": "EUR",
                 "price": 9.5, "quantity": 2, "time": "2026-01-01T10:00:00Z", "properties": {"audience": "vip"}},
            ]})
        );
        for (values, error) in [
            (["", "1", "EUR", "1"], PurchaseError::ProductId),
            (["x", "much", "EUR", "1"], PurchaseError::Price),
            (["x", "inf", "EUR", "1"], PurchaseError::Price),
            (["x", "1", "EURO", "1"], PurchaseError::Currency),
            (["x", "1", "€", "1"], PurchaseError::Currency),
            (["x", "1", "EUR", "0"], PurchaseError::Quantity),
            (["x", "1", "EUR", "101"], PurchaseError::Quantity),
            (["x", "1", "EUR", "1.5"], PurchaseError::Quantity),
        ] {
            let [product_id, price, currency, quantity] = values;
            assert_eq!(
                Purchase::read(product_id, price, currency, quantity),
                Err(error),
                "{values:?}"
            );
        }
        assert!(Purchase::read(&"ä".repeat(255), "-1e300", "usd", "100").is_ok());
    }

    #[test]
    fn an_event_is_written_as_braze_documents_it_and_every_text_is_escaped() {
        let time = "2026-01-01T10:00:00.25Z".parse().unwrap();
        let mut builder = TrackBuilder::new(75, crate::BODY_BYTES_MAX);
        let kim = Identifier::ExternalId("kim".into());
        let clause = Clause::event(true, "a \"b\"", time, &[("audience", "x\\y"), ("action", "exited")]);
        builder.push(&kim, &clause).unwrap();
        let clause = Clause::event(false, "c", time, &[]);
        builder.push(&kim, &clause).unwrap();
        let body: Value = serde_json::from_slice(builder.finish().body()).unwrap();
        assert_eq!(
            body,
            json!({"events": [
                {"external_id": "kim", "_update_existing_only": true, "name": "a \"b\"", "time": "2026-01-01T10:00:00.25Z",
                 "properties": {"audience": "x\\y", "action": "exited"}},
                {"external_id": "kim", "name": "c", "time": "2026-01-01T10:00:00.25Z", "properties": {}},
            ]})
        );
    }
}

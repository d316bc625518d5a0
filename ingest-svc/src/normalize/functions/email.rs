//! E-mail addresses.

mod mailbox;

use super::super::expression::Arguments;
use super::{Function, Kind, filled};
use mailbox::Mailbox;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("email", (1, 1), Kind::Text, |arguments| {
        Some(mailbox(&arguments)?.address.into())
    }),
    Function::new("emailname", (1, 1), Kind::Text, |arguments| {
        Some(mailbox(&arguments)?.name.into())
    }),
    Function::new("emaildomain", (1, 1), Kind::Text, |arguments| {
        Some(mailbox(&arguments)?.domain().to_owned().into())
    }),
];

fn mailbox(arguments: &Arguments<'_>) -> Option<Mailbox> {
    Mailbox::parse(&filled(arguments, 0)?)
}

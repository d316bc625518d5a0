//! The files that Braze writes, in the words of its webhooks, so that one mapping serves all three ways.
//!
//! | file | a row | becomes |
//! |---|---|---|
//! | the dashboard's CSV, of users or of e-mail addresses | a user | the record that a webhook would bring, by [`dashboard`] |
//! | a segment export, a JSON object a line | a user with all that they did | the same, and a summary of each campaign and Canvas, by [`segment`] |
//! | Currents on storage, Avro | an event | the event that Currents would bring over HTTP, by [`currents`] |

pub(super) mod currents;
pub(super) mod dashboard;
pub(super) mod segment;

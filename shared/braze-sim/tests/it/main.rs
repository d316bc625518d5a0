//! The simulator against the published rules, one test per rule, named by its section of the Braze reference. Requests are
//! written by hand and sent over a bare TCP connection, so that nothing here shares a mistake with our own client;
//! only `client` shows that the two understand each other.

#![cfg(test)]

mod bucket;
mod callbacks;
mod files;
mod support;

mod client;
mod program;
mod s13_admin;
mod s13_export_faults;
mod s13_faults;
mod s13_general;
mod s13_journal;
mod s1_authentication;
mod s1_tls;
mod s3_12_events;
mod s3_2_identifiers;
mod s3_3_creation;
mod s3_4_arrays;
mod s3_4_values;
mod s3_5_limits;
mod s3_6_checks;
mod s3_6_responses;
mod s3_7_rate_limits;
mod s3_8_order;
mod s3_9_data_points;
mod s5_2_export_segment;
mod s5_3_export_files;
mod s5_6_export_ids;
mod s5_8_segments;

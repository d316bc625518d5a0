//! `jobs create --dry-run`.

use proto::export::v1 as wire;
use proto::export::v1::export_plan_service_client::ExportPlanServiceClient;
use runtime::exit::Failure;
use runtime::grpc::Channel;
use serde_json::{Value, json};

use super::show::seconds;
use crate::cli::output::{Output, Show};
use crate::cli::refused;

impl Show for wire::ExportPlan {
    const COLUMNS: &'static [&'static str] = &["ADDS", "REMOVES", "REQUESTS"];

    fn row(&self) -> Vec<String> {
        [self.adds, self.removes, self.requests]
            .map(|number| number.to_string())
            .into()
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("adds", json!(self.adds)),
            ("removes", json!(self.removes)),
            ("omittedNoIdentifier", json!(self.omitted_no_identifier)),
            ("omittedOther", json!(self.omitted_other)),
            ("overtaken", json!(self.overtaken)),
            ("users", json!(self.users)),
            ("attributeWrites", json!(self.attribute_writes)),
            ("events", json!(self.events)),
            ("purchases", json!(self.purchases)),
            ("requests", json!(self.requests)),
            ("usersCreated", json!(self.users_created)),
            ("estimatedDuration", seconds(self.estimated_duration)),
            ("requestsPerSecond", json!(self.requests_per_second)),
            ("sampledOneIn", json!(self.sampled_one_in)),
            ("records", json!(self.records)),
            ("unread", json!(self.unread)),
        ]
    }
}

/// Shows what a job would do.
pub(super) async fn show(
    channel: Channel,
    parent: String,
    export_job: wire::ExportJob,
    output: Output,
) -> Result<(), Failure> {
    let request = wire::PlanExportJobRequest {
        parent,
        export_job: Some(export_job),
    };
    let answer = ExportPlanServiceClient::new(channel).plan_export_job(request).await;
    let answer = answer.map_err(refused)?.into_inner();
    let plan = answer.plan.unwrap_or_default();
    answer
        .warnings
        .iter()
        .for_each(|warning| eprintln!("warning: {warning}"));
    if plan.unread > 0 {
        eprintln!(
            "warning: {} of {} records have not been read for want of time: the numbers are of what was",
            plan.unread,
            plan.records + plan.unread
        );
    }
    output.one(&plan);
    Ok(())
}

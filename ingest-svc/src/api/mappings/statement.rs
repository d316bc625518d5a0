//! Statements that callers send: compiled, or refused with all of their problems.

use control::NewMapping;
use proto::mapping::v1 as wire;
use runtime::grpc::status::Violations;
use tonic::Status;

use crate::normalize::Mapping;
use crate::normalize::lql::Problem;

/// Problems of one answer.
const PROBLEMS_MAX: usize = 1_000;
/// Bytes of problems in a status. It travels in HTTP headers, twice and as base64 once more, a byte as `%xx` at the worst, and clients
/// take 16 KiB of those.
const STATUS_BYTES_MAX: usize = 2_400;
/// Bytes of one problem in a status: it may quote what stands in the statement.
const VIOLATION_BYTES_MAX: usize = 500;

/// What is put of a statement.
pub(super) fn new(lql: String) -> Result<NewMapping, Status> {
    let mapping = compile("lql", &lql)?;
    Ok(NewMapping {
        alias: mapping.alias().to_owned(),
        stream: mapping.stream().to_owned(),
        lql,
    })
}

/// The compiled statement of a field.
pub(super) fn compile(field: &str, lql: &str) -> Result<Mapping, Status> {
    Mapping::parse(lql).or_else(|problems| {
        refuse(field, &problems)?;
        // Whatever does not compile has a problem.
        Err(Status::internal("the statement does not compile"))
    })
}

/// A violation for each problem, as far as a status can hold them; then how many more there are.
fn refuse(field: &str, problems: &[Problem]) -> Result<(), Status> {
    let (mut violations, mut bytes) = (Violations::new(), 0);
    for (index, problem) in problems.iter().enumerate() {
        let mut text = problem.to_string();
        if text.len() > VIOLATION_BYTES_MAX {
            text.truncate(text.floor_char_boundary(VIOLATION_BYTES_MAX));
            text.push('…');
        }
        bytes += field.len() + text.len();
        if bytes > STATUS_BYTES_MAX {
            let more = format!("and {} more; ValidateMapping tells them all", problems.len() - index);
            violations.add(field, more);
            break;
        }
        violations.add(field, text);
    }
    violations.into_result()
}

/// Everything that is wrong with a statement.
pub(super) fn validated(lql: &str) -> wire::ValidateMappingResponse {
    let problems = Mapping::parse(lql).err().unwrap_or_default();
    let left_out = problems.len().saturating_sub(PROBLEMS_MAX);
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let problems = problems.into_iter().take(PROBLEMS_MAX).map(|problem| wire::Problem {
        line: number(problem.line),
        column: number(problem.column),
        message: problem.message,
    });
    wire::ValidateMappingResponse {
        problems: problems.collect(),
        problems_left_out: number(left_out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faulty(columns: usize) -> String {
        let columns = vec!["nope(x) AS y"; columns].join(",\n");
        format!("SELECT {columns} FROM s INTO user BY y ALIAS a")
    }

    #[test]
    fn a_status_names_the_problems_by_line_and_column() {
        let status = compile("lql", "SELECT a FROM s\nINTO things BY b ALIAS a").unwrap_err();
        assert_eq!(
            status.message(),
            "lql: 2:6: unknown table `things`; there is only `user`; \
             lql: 2:16: BY names `b`, which no column fills; name a column so with AS"
        );
    }

    #[test]
    fn a_status_holds_a_bounded_number_of_problems_and_says_how_many_there_are() {
        let lql = faulty(400);
        let all = validated(&lql).problems.len();
        let message = compile("lql", &lql).unwrap_err().message().to_owned();
        let told = message.matches("unknown function").count() + message.matches("two columns").count();
        assert!(told > 20 && message.len() < 3_000, "{told}, {}", message.len());
        assert!(
            message.ends_with(&format!("and {} more; ValidateMapping tells them all", all - told)),
            "{message}"
        );
    }

    #[test]
    fn a_long_name_does_not_fill_a_status() {
        let long = "é".repeat(5_000);
        let status = compile("lql", &format!("SELECT a FROM s INTO `{long}` BY a ALIAS a")).unwrap_err();
        assert!(status.message().len() < 600, "{}", status.message().len());
    }

    #[test]
    fn an_answer_holds_a_bounded_number_of_problems_and_says_how_many_there_are() {
        let validated = validated(&faulty(1_500));
        assert_eq!(validated.problems.len(), PROBLEMS_MAX);
        assert_eq!(validated.problems_left_out as usize, 2 * 1_500 - 1 - PROBLEMS_MAX);
        assert!(
            super::validated("SELECT a FROM s INTO user BY a ALIAS a")
                .problems
                .is_empty()
        );
    }
}

//! `--remove-slugs`.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn slugs_are_removed_with_an_audience_and_with_a_job() {
    let brokers = kafka::testing::brokers();
    let service = Service::start(config(&brokers)).await;
    let folder = folder();
    let key_file = file(folder.path(), "key.txt", KEY);
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let type_ = async |line: &str| {
        let words = words(line);
        run(&service, &words.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    let key_file = key_file.display();
    for line in [
        &format!(
            "authorizations create --account 1234 --provider braze --label S --instance US-01 --key-file {key_file}"
        ),
        "memberships publish --account 1234 --audience a --profile 1 --enter --field user_id=cust-1",
        "jobs create --account 1234 --auth S --label J --audience a --audience b --audience c --external-id-field user_id",
    ] {
        let output = type_(line).await;
        assert!(output.status.success(), "{line}: {}", stderr(&output));
    }
    let nothing = type_("jobs update J --account 1234 --label K --remove-slugs").await;
    assert!(stderr(&nothing).contains("--remove-audience"), "{}", stderr(&nothing));
    let updated = stdout(&type_("jobs update J --account 1234 --remove-audience a --remove-slugs").await);
    assert!(
        updated.contains("b, c") && updated.contains("audience a,") && updated.contains("done false"),
        "{updated}"
    );
    let kept = stdout(&type_("jobs update J --account 1234 --remove-audience b --output json").await);
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["removals"].as_array().map(Vec::len), Some(1), "{kept}");
    let again = type_("jobs update J --account 1234 --add-audience a").await;
    assert!(
        stderr(&again).contains("still removes audience a"),
        "{}",
        stderr(&again)
    );
    let killed = stdout(&type_("jobs kill J --account 1234 --remove-slugs").await);
    assert!(killed.contains("removing") && killed.contains("audience c"), "{killed}");
    let listed = stdout(&type_("jobs list --account 1234 --state removing").await);
    assert!(listed.contains("removing"), "{listed}");
    service.stop().await;
}

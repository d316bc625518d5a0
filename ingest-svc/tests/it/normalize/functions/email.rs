use super::check;

#[test]
fn an_address_has_a_name_and_a_domain() {
    check(
        r#"
email("Bob@Bob.com")                     → bob@bob.com
email(emails)                            → email1@email.com
email("Bob <bob>")                       →
emailname("Bob <bob@bob.com>")           → Bob
emailname("Bob  van Dyke<bob@bob.com>")  → Bob van Dyke
emailname('"Lee, Ann" <ann@example.com>') → Lee, Ann
exists(emailname("bob@bob.com"))         → true
emailname("bob@bob.com")                 →
emailname("Bob <bob@good")               →
exists(emailname("Bob <bob@good"))       → false
emailname("team: ann@example.com;")      →
emaildomain("Bob<bob@GMail.com>")        → gmail.com
emaildomain('"a@b"@example.com')         → example.com
emaildomain("Bob <bob@good")             →
emaildomain(missing)                     →
"#,
    );
}

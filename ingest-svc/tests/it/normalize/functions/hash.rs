use super::{check, given};

#[test]
fn hashes_are_those_of_everybody_else() {
    check(
        r#"
hash.md5("hello")                    → 5d41402abc4b2a76b9719d911017c592
hash.sha1("hello")                   → aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d
hash.sha256("hello")                 → 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824
hash.sha512("hello")                 → 9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043
hash.md5(["hello", "x"])             → 5d41402abc4b2a76b9719d911017c592
hash.md5(empty)                      →
hash.sha1(missing)                   →
hash.sha256("")                      →
hash.sha512(gone)                    →
hash.sip("http://www.google.com?q=123") → 5673948842516703987
hash("http://www.google.com?q=123")  → 5673948842516703987
hash.sip(split("http://go.gl", ",")) → 4903078846009498015
unsign(hash.sip("bananas234029348")) → 9314974731269371589
hash.sip("")                         →
encoding.b64encode("hello world")    → aGVsbG8gd29ybGQ=
encoding.b64encode("")               →
encoding.b64decode("aGVsbG8gd29ybGQ=") → hello world
encoding.b64decode("xx")             →
encoding.b64decode("/w==")           →
"#,
    );
}

#[test]
fn a_unique_id_is_that_of_the_record_and_of_the_column() {
    let id: uuid::Uuid = given("uuid()").parse().unwrap();
    assert_eq!(id.get_version_num(), 4);
    assert_eq!(given("uuid()"), id.to_string(), "a record that is repeated keeps it");
    let two = given(r#"join(uuid(), uuid(), " ")"#);
    let (first, second) = two.split_once(' ').unwrap();
    assert_ne!(first, second);
    let other = crate::normalize::evaluate("uuid()", "", &serde_json::json!({"another": "record"}));
    assert_ne!(crate::normalize::text(other.unwrap()), id.to_string());
}

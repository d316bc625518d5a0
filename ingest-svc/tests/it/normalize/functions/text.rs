use super::check;

#[test]
fn case_is_changed() {
    check(
        r#"
tolower("Apple")                     → apple
tolower(["ÉTÉ", "x"])                → été
tolower(missing)                     →
tolower(match("score_"))             →
string.lowercase("HELLO")            → hello
string.uppercase("Apple Lemmings")   → APPLE LEMMINGS
string.titlecase("android neXus")    → Android NeXus
string.titlecase("o'neill and so_on") → O'neill And So_on
STRING.TitleCase(42)                 → 42
"#,
    );
}

#[test]
fn texts_are_split_and_joined() {
    check(
        r#"
split("apples,oranges", ",")         → apples|oranges
len(split(",a,,b", ","))             → 4
string.split("a, b", ", ")           → a|b
split("", ",")                       →
split("hello", "")                   →
split(missing, ",")                  →
join("apple", event, "oranges", "--") → apple--hello--oranges
join(["apple", "peach"], ",")        → apple,peach
join("apple", "", "peach", ",")      → apple,peach
join(split("apple,peach", ","), "--") → apple--peach
join(1, 2.5, "x", "")                → 12.5x
join(true, now(), "x", "-")          → x
join(missing, "--")                  →
join("hello", missing)               →
"#,
    );
}

#[test]
fn texts_are_stripped_and_replaced() {
    check(
        r#"
strip(" apples 	")                  → apples
strip(split("apples , oranges ", ",")) → apples|oranges
string.strip("  x")                  → x
strip(5)                             →
replace("/search/for+stuff", "/search/") → for+stuff
replace("M20:30", "M", "Hour ")      → Hour 20:30
replace("aXbXc", "X", "--")          → a--b--c
replace(missing, "X")                →
"#,
    );
}

#[test]
fn parts_of_texts_are_found() {
    check(
        r#"
contains("5item", "item")            → true
contains("5item", 5)                 → true
contains("the-item", event)          → false
contains(missing, "nope")            → false
contains(match("score_"), "22")      → false
contains("x", "")                    →
contains(empty, "x")                 →
hasprefix("hello world", event)      → true
hasprefix(event, "ham")              → false
hasprefix(missing, "5y")             → false
hasprefix("hello", "")               →
hassuffix(event, "lo")               → true
hassuffix(event, "he")               → false
hassuffix(missing, "5y")             → false
hassuffix("hello", empty)            →
string.index("apple", "p")           → 1
string.index("été", "t")             → 2
string.index("apple", "z")           →
string.index(missing, "z")           →
string.substr("android", 0, 3)       → and
string.substr("android", 2)          → droid
string.substr("android", -1, 2)      →
string.substr("android", 0, 20)      →
string.substr("android", 15)         →
string.substr("android", 5, 2)       →
string.substr("été", 0, 1)           →
string.substr("android", 0, "hello") →
"#,
    );
}

#[test]
fn lengths_are_bytes_and_entries() {
    check(
        r#"
len("abc")                           → 3
len("été")                           → 5
len("")                              → 0
len(tags)                            → 4
len(match("score_", "tag_"))         → 2
len(10)                              → 0
len(10.6)                            → 0
len(true)                            → 0
len(now())                           → 0
len(missing)                         →
len(gone)                            →
"#,
    );
}

#[test]
fn no_text_grows_beyond_what_a_profile_may_hold() {
    let x = "x".repeat(2_000);
    let record = serde_json::json!({"x": x, "many": vec!["y"; 1_000]});
    let given = |expression| crate::normalize::evaluate(expression, "", &record);
    assert!(given(r#"replace(x, "x", "123")"#).is_some());
    assert_eq!(given(r#"replace(x, "x", x)"#), None);
    assert!(given(r#"join(many, ",")"#).is_some());
    assert_eq!(given("join(many, x)"), None);
    assert_eq!(
        given(r#"len(split(replace(x, "x", "1,"), ","))"#)
            .map(crate::normalize::text)
            .as_deref(),
        Some("1000")
    );
}

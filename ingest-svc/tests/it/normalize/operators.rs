//! Operators: what they give, what they bind more tightly than, and what a missing value does to them.

use serde_json::json;

use super::{evaluate, text};

/// `expression → what it gives`, for the record below.
fn check(table: &str) {
    let record = json!({
        "age": 25, "name": "Ann", "plan": "gold", "vip": true, "tags": ["a", "bee"], "sizes": ["5", "6"],
        "born": "1982-01-02", "first-name": "Ann", "odd name": "x", "empty": "", "gone": null, "tag_a": "1",
        "scores": "3",
    });
    for line in table.lines().filter(|line| !line.is_empty()) {
        let (expression, expected) = line.split_once('→').unwrap_or_else(|| panic!("{line}"));
        let given = evaluate(expression.trim(), "", &record).map(text).unwrap_or_default();
        assert_eq!(given, expected.trim(), "{}", expression.trim());
    }
}

#[test]
fn values_are_compared() {
    check(
        r#"
name == "Ann"                → true
name = "Ann"                 → true
name == "ann"                → false
name != "ann"                → true
name <> "Ann"                → false
age == 25                    → true
age == 25.0                  → true
25 == age                    → true
name == 5                    → false
vip == true                  → true
vip != FALSE                 → true
age > 18                     → true
age > 25                     → false
age >= 25                    → true
age < 25                     → false
age <= 25                    → true
age > scores                 → true
name > 5                     →
todate(born) < todate("now-3d") → true
born < "now-3d"              → true
todate(born) == "1982-01-02" → true
["a", 1] == ["a", "1"]       → true
tags == "a"                  → false
match("tag_") == "a"         →
"#,
    );
}

#[test]
fn texts_and_lists_are_searched() {
    check(
        r#"
name LIKE "A*"               → true
name LIKE "%nn"              → true
name LIKE "a*"               → false
name LIKE "*n*n*"            → true
name LIKE "A*A"              → false
"A" LIKE "A*A"               → false
tags LIKE "be*"              → true
name NOT LIKE "B*"           → true
name LIKE ["B*", "A*"]       → true
name CONTAINS "nn"           → true
name CONTAINS "x"            → false
tags CONTAINS "ee"           → true
sizes CONTAINS 6             → true
sizes CONTAINS 7             → false
name NOT CONTAINS "x"        → true
plan IN ("gold", "silver")   → true
plan IN ("bronze")           → false
plan NOT IN ("bronze", name) → true
age IN (24, 25)              → true
sizes INTERSECTS ("6", "7")  → true
sizes INTERSECTS ("8")       → false
"a" IN tags                  → true
"a" IN match("tag_")         → true
match("tag_") INTERSECTS ("b", "a") → true
plan IN ["gold"]             → true
"#,
    );
}

#[test]
fn between_excludes_both_ends() {
    check(
        r#"
age BETWEEN 24 AND 26        → true
age BETWEEN 25 AND 30        → false
age BETWEEN 20 AND 25        → false
age NOT BETWEEN 30 AND 40    → true
born BETWEEN "1980-01-01" AND todate("1990-01-01") → true
missing BETWEEN 1 AND 2      →
age BETWEEN missing AND 2    →
"#,
    );
}

#[test]
fn numbers_are_calculated() {
    check(
        r#"
1 + 2 * 3                    → 7
(1 + 2) * 3                  → 9
10 - 3 - 2                   → 5
7 / 2                        → 3
7 / 2.0                      → 3.5
7 % 4                        → 3
7.9 % 4                      → 3
2 * -3                       → -6
-(2 + 3)                     → -5
-age                         → -25
age + 1                      → 26
age -1                       → 24
age-1                        →
first-name                   → Ann
`odd name`                   → x
[odd name]                   → x
1 / 0                        →
1.5 / 0                      →
1 % 0                        →
9223372036854775807 + 1      →
name + 1                     →
missing + 1                  →
"#,
    );
}

#[test]
fn logic_binds_in_the_order_of_the_reference() {
    check(
        r#"
true OR true AND false       → true
(true OR true) AND false     → false
NOT false AND false          → false
NOT (false AND false)        → true
NOT 1 == 2                   → true
!vip OR vip                  → true
1 + 1 == 2 && 2 > 1          → true
false || age > 18            → true
AND(vip, age > 18, 1 == 1)   → true
OR(false, age > 30)          → false
AND(vip, age > 30)           → false
OR(false, vip)               → true
NOT age > 18                 → false
vip AND age > 18 AND plan == "gold" AND name LIKE "A*" → true
vip IS NULL                  → false
missing IS NULL              → true
missing IS NOT NULL          → false
empty IS NULL                → true
gone == NULL                 → true
age != NULL                  → true
plan IS "gold"               → true
"#,
    );
}

#[test]
fn a_missing_value_is_neither_true_nor_false() {
    check(
        r#"
EXISTS name                  → true
EXISTS missing               → false
EXISTS empty                 → false
EXISTS gone                  → false
NOT EXISTS missing           → true
NOT missing                  →
NOT name                     →
missing AND false            →
false AND missing            → false
true AND missing             →
missing OR true              → true
missing OR false             → false
missing == 5                 → false
missing != 5                 → true
missing == gone              → false
missing != gone              → false
missing > 5                  → false
5 > missing                  → false
missing LIKE "*"             → false
missing IN ("a")             → false
missing NOT IN ("a")         → true
missing CONTAINS "a"         → false
name CONTAINS missing        →
NULL                         →
-missing                     →
"#,
    );
}

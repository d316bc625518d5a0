use super::check;

#[test]
fn numbers_are_read_through_what_stands_around_them() {
    check(
        r#"
toint("7")                           → 7
toint("7.9")                         → 7
toint("-7.9")                        → -7
toint("$1,234.00")                   → 1234
toint("€ 5,555.00")                  → 5555
toint("£ 5")                         → 5
toint(price)                         → 55
toint(5555.05)                       → 5555
toint(todate(born))                  → 1413158400000
toint(["3", "4"])                    → 3
toint("hello")                       →
toint(missing)                       →
tonumber("5.75")                     → 5.75
tonumber("$5,555.50")                → 5555.5
tonumber(true)                       → 1
tonumber(false)                      → 0
tonumber("hello")                    →
tonumber("Infinity")                 →
"#,
    );
}

#[test]
fn truth_has_few_spellings() {
    for yes in ["1", "t", "T", "TRUE", "true", "True"] {
        check(&format!("tobool(\"{yes}\") → true"));
    }
    for no in ["0", "f", "F", "FALSE", "false", "False"] {
        check(&format!("tobool(\"{no}\") → false"));
    }
    check(
        r#"
tobool(more.yes)                     → true
tobool(1)                            → true
tobool(0.0)                          → false
tobool(2)                            →
tobool("yes")                        →
tobool("no")                         →
tobool("tRUE")                       →
tobool(now())                        →
tobool(missing)                      →
"#,
    );
}

#[test]
fn everything_but_a_map_is_a_text() {
    check(
        r#"
tostring(true)                       → true
tostring(1)                          → 1
tostring(1.50)                       → 1.5
tostring(more.big)                   → 1000000
tostring(todate(born))               → 2014-10-13T00:00:00Z
tostring(tags)                       → a
exists(tostring(""))                 → true
exists(tostring(missing))            → true
tostring(missing)                    →
tostring(match("score_"))            →
"#,
    );
}

#[test]
fn cast_converts_to_a_kind_that_is_named() {
    check(
        r#"
cast(score_amount AS int)            → 22
cast(score_amount, "int")            → 22
CAST(22 AS string)                   → 22
cast("abc" AS char)                  → abc
len(cast("été" AS char))             → 5
cast(born AS time)                   → 2014-10-13T00:00:00Z
cast(born, "time")                   → 2014-10-13T00:00:00Z
cast(event AS int)                   →
cast(empty AS string)                →
cast(missing AS time)                →
unsign(0)                            → 0
unsign(-794)                         → 18446744073709550822
unsign("-7941778727260920248")       → 10504965346448631368
unsign("howdy")                      →
unsign(false)                        →
"#,
    );
}

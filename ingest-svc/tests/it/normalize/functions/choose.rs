use super::check;

#[test]
fn the_first_that_is_not_empty_is_chosen() {
    check(
        r#"
oneof("apples", "oranges")           → apples
oneof(missing, event)                → hello
oneof("", event)                     → hello
oneof(gone, none, empty, event)      → hello
oneof(-2147483648, 7)                → 7
oneof(email(event), email(email))    → email@email.com
oneof("", "")                        →
any(event)                           → true
any(missing, "", event)              → true
any(false)                           → true
any(0)                               → true
any(missing, empty)                  → false
all("Apple", event, true)            → true
all("Linux", true, missing)          → false
all("Linux", false)                  → false
all("Linux", "")                     → false
all(5)                               → false
all(0)                               → true
exists(event)                        → true
exists("")                           → true
exists(empty)                        → true
exists(0)                            → true
exists(toint(price))                 → true
exists(missing)                      → false
exists(gone)                         → false
exists(toint(event))                 → false
"#,
    );
}

#[test]
fn conditions_choose() {
    check(
        r#"
if(exists(event), "yes", "no")       → yes
if(exists(missing), "yes", "no")     → no
if(exists(missing), "yes")           →
if(missing, "yes", "no")             → no
if(more.yes, event)                  → hello
if(more.yes, 7, 8)                   → 7
ifcase(1 > 2, "a", 2 > 1, "b", "c")  → b
ifcase(1 > 2, "a", 2 > 3, "b", "c")  → c
ifcase(1 > 2, "a", 2 > 3, "b")       →
"#,
    );
}

#[test]
fn comparisons_read_the_right_side_as_the_left() {
    check(
        r#"
eq(5, 5)                             → true
eq(5, "5")                           → true
eq("hello", event)                   → true
eq("5", 5)                           → true
eq(5, 6)                             → false
eq(5.5, "5.5")                       → true
eq(0, "abc")                         → true
eq(true, "true")                     → true
eq(todate(born), "2014-10-13")       → true
eq(tags, ["a", "b", "c", "d"])       → true
eq(missing, 5)                       → false
eq(missing, gone)                    → true
eq(match("score_"), true)            →
ne(5, 6)                             → true
ne("hello", missing)                 → true
ne(missing, gone)                    → false
gt(5, "3")                           → true
gt(3, 5)                             → false
gt(toint(price), 1)                  → true
ge(5, 5)                             → true
lt(5.5, 6)                           → true
le(6, 5)                             → false
gt(missing, 0)                       →
le(5, event)                         →
not(true)                            → false
not(eq(5, 6))                        → true
not(missing)                         →
not(event)                           →
"#,
    );
}

use super::check;

#[test]
fn maps_are_made_and_turned() {
    check(
        r#"
map(event, 22)                       → hello=22
map("", 6)                           →
map("key", empty)                    →
map(missing, 6)                      →
maptime("HELLO")                     → hello=2026-03-10T12:00:00.25Z
maptime(event, "2016-02-03T22:00:00") → hello=2016-02-03T22:00:00Z
maptime(event, "not a date")         →
maptime("")                          →
match("score_")                      → amount=22
match("score_", "tag_")              → amount=22|name=bob
match("more.")                       → big=1000000|tags=a|yes=true|zero=0
match("nope_")                       →
mapkeys(match("score_", "tag_"))     → amount|name
mapkeys(match("score_"), map("x", 1)) → amount|x
mapkeys(event)                       →
mapvalues(match("score_", "tag_"))   → 22|bob
mapvalues(match("nope_"))            →
mapinvert(match("score_", "tag_"))   → 22=amount|bob=name
mapinvert(match("same_"))            → x=b
mapinvert(missing)                   →
"#,
    );
}

#[test]
fn filters_take_away_or_keep() {
    check(
        r#"
filter(match("score_", "tag_"), "nam*")  → amount=22
filter(match("score_", "tag_"), "name")  → amount=22
filter(match("score_"), "amo")           →
filter(split("apples,oranges", ","), "ora*") → apples
filter(split("apples,oranges", ","), "%ples") → oranges
filter(split("apples,oranges,bananas", ","), ["ora%", "ban*"]) → apples
filter(split("apples,oranges,", ","), "") → apples|oranges
filter("apples", "ban")                  → apples
filter("apples", "app")                  →
filter(missing, "app")                   →
filtermatch(split("apples,oranges", ","), "app") → apples
filtermatch(match("score_", "tag_"), "amo*") → amount=22
filtermatch("apples", "app*")            → apples
filtermatch("apples", "bam")             →
filtermatch(split("oranges", ","), "app%") →
"#,
    );
}

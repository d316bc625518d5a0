use super::check;

#[test]
fn several_values_become_one() {
    check(
        r#"
set(more.tags)                       → a|b
set(more.tags, "c", missing, "")     → a|b|c
set(missing)                         →
count(event)                         → 1
count(more.zero)                     → 1
count(missing)                       →
count("")                            →
valuect(more.tags)                   → a=2|b=1
valuect("x")                         → x=1
valuect(missing)                     →
sum(1, 2)                            → 3
sum(1, [2, 3])                       → 6
sum(1, "$2.50", missing)             → 3.5
sum(["1", "abc"])                    →
sum(event)                           →
sum(exists("hello"))                 →
sum(missing)                         →
avg(1, 2)                            → 1.5
avg(1, [2, 3])                       → 2
avg(split("1,2,abc", ","))           →
avg(missing)                         →
min(3, "1", [2])                     → 1
max(3, "1", [20])                    → 20
min(event)                           →
max(missing)                         →
sqrt(25)                             → 5
sqrt("hello")                        →
sqrt(-1)                             →
pow(5, 2)                            → 25
pow(10, 400)                         →
pow(missing, 2)                      →
"#,
    );
}

#[test]
fn lists_are_cut() {
    check(
        r#"
array.index(tags, 1)                 → b
array.index(tags, -1)                → d
array.index(tags, 4)                 →
array.index(tags, -5)                →
array.index(tags, "x")               →
array.index("a", 0)                  →
array.slice(["a", "b", "c"], 1)      → b|c
array.slice(split("a,b,c,d", ","), 1, 3) → b|c
array.slice(["a", "b", "c", "d"], -3, -1) → b|c
array.slice(["a", "b", "c", "d"], -2) → c|d
array.slice(["a", "b"], 1, 7)        →
array.slice(["a", "b"], 1, -2)       →
array.slice(["a", "b"], 2)           →
array.slice("a", 0)                  →
"#,
    );
}

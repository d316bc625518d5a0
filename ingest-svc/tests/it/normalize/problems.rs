//! What is said about a statement that does not compile: all of it, where, and what would be right.

use ingest_svc::normalize::Mapping;

fn problems(text: &str) -> Vec<String> {
    match Mapping::parse(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn every_problem_of_a_statement_is_told_with_its_place() {
    let text = "\
SELECT a b,
  todate(x,, y) AS c,
  é KIND colour,
  nope(x, never()) AS d MERGEOP most,
  email() AS e, email(a, b) AS e,
  2 AS n MERGEOP sum KIND string,
  todate(x), p KIND AS q, `unclosed AS r,
  s SHORTDESC none, # t, when AS u IF x IF, v AS v AS v
FROM INTO things
BY a OR n OR e OR e OR when";
    let options = "expected `,`, FROM, an operator or an option of the column (AS, IF, SHORTDESC, LONGDESC, KIND, MERGEOP), \
                   found";
    let kinds = "there are string, bool, int, number, date, []string, []time, ts[]string, map[string]int, map[string]number, \
                 map[string]string, map[string]time, map[string]bool, map[string]intsum";
    assert_eq!(
        problems(text),
        [
            &format!("1:10: {options} `b`"),
            "2:12: expected a field, a text, a number or a call, found `,`",
            &format!("3:10: unknown kind `colour`; {kinds}"),
            "4:3: unknown function `nope`; docs/mapping.md lists all",
            "4:11: unknown function `never`; docs/mapping.md lists all",
            "4:33: unknown merge operator `most`; there are latest, oldest, max, min, sum, count, merge, latestmap, \
             oldestmap, mapmax, mapmin, capped",
            "5:3: `email` takes 1 argument, not 0",
            "5:17: `email` takes 1 argument, not 2",
            "5:32: two columns fill the field `e`: make one of them, with oneof(…) if the first that has a value counts",
            "6:18: `sum` cannot merge values of kind string",
            "7:3: the column needs a name: AS <field>",
            "7:21: expected a kind, found `AS`",
            "7:27: the name that ``` begins is not closed by ``` on its line",
            "8:15: expected a text in quotes, found `none`",
            "8:21: `#` does not belong here",
            "8:43: expected a field, a text, a number or a call, found `,`",
            "8:52: the column has two AS",
            "9:6: expected the name of a stream, found `INTO`",
            "9:11: unknown table `things`; there is only `user`",
            "10:4: BY names `a`, which no column fills; name a column so with AS",
            "10:19: BY names `e` twice",
            "10:24: BY names `when`, which no column fills; name a column so with AS",
            "10:28: ALIAS <name> is missing",
        ]
    );
}

#[test]
fn what_a_statement_lacks_or_has_twice_is_told() {
    assert_eq!(
        problems(""),
        [
            "1:1: ALIAS <name> is missing",
            "1:1: BY <field> is missing",
            "1:1: FROM <stream> is missing",
            "1:1: INTO <table> is missing",
            "1:1: expected SELECT, found the end",
            "1:1: expected a field, a text, a number or a call, found the end",
        ]
    );
    for (text, problem) in [
        (
            "SELECT a FROM s FROM t INTO user BY a ALIAS q",
            "1:17: `FROM` is stated twice",
        ),
        (
            "SELECT a, FROM s INTO user BY a ALIAS q",
            "1:11: expected a field, a text, a number or a call, found `FROM`",
        ),
        (
            "SELECT a FROM s INTO user BY a OR ALIAS q",
            "1:35: expected a field to identify by, found `ALIAS`",
        ),
        (
            "SELECT a FROM s INTO user BY a WHERE ALIAS q",
            "1:38: expected a field, a text, a number or a call, found `ALIAS`",
        ),
        (
            "SELECT a FROM s, t INTO user BY a ALIAS q",
            "1:16: expected FROM, INTO, BY, WHERE or ALIAS, found `,`",
        ),
        (
            "SELECT a FROM s INTO user BY a ALIAS q SELECT b",
            "1:40: expected FROM, INTO, BY, WHERE or ALIAS, found `SELECT`",
        ),
        (
            "SELECT a AS b FROM s INTO user BY a ALIAS q",
            "1:35: BY names `a`, which no column fills; name a column so with AS",
        ),
        (
            "SELECT a KIND int FROM s INTO user BY a ALIAS q",
            "1:39: `a` cannot identify: it is of kind int, not string or []string",
        ),
        (
            "SELECT a FROM s INTO user BY a ALIAS [my web]",
            "1:38: the name of a mapping has 1 to 63 letters without accents, digits, `_`, `-` and `.`",
        ),
        (
            &format!("SELECT a FROM {} INTO user BY a ALIAS q", "s".repeat(257)),
            "1:15: a stream's name has at most 256 bytes",
        ),
        ("SELECT a SHORTDESC \"open FROM s", "1:20: the text is not closed by \""),
        (
            "SELECT [] FROM s INTO user BY a ALIAS q",
            "1:8: the column needs a name: AS <field>",
        ),
        (
            "SELECT a, 9999999999999999999.5.5 AS b FROM s INTO user BY a ALIAS q",
            "1:32: `.` does not belong here",
        ),
    ] {
        assert!(
            problems(text).contains(&problem.to_owned()),
            "{text}: {:?}",
            problems(text)
        );
    }
}

#[test]
fn calls_nested_beyond_reason_are_a_problem_and_no_crash() {
    let nested = |depth: usize| {
        let call = format!("{}x{}", "email(".repeat(depth), ")".repeat(depth));
        Mapping::parse(&format!("SELECT {call} AS a FROM s INTO user BY a ALIAS q"))
    };
    assert!(nested(32).is_ok());
    assert_eq!(
        nested(33).unwrap_err()[0].to_string(),
        "1:206: expressions are nested more than 32 deep"
    );
    assert!(nested(100_000).is_err());
}

/// The first problem of an expression that is the second column, which begins at column 12.
fn of_expression(expression: &str) -> String {
    problems(&format!("SELECT id, {expression} AS v FROM s INTO user BY id ALIAS a")).remove(0)
}

#[test]
fn an_unknown_name_is_told_with_what_was_perhaps_meant() {
    for (expression, problem) in [
        ("emial(x)", "1:12: unknown function `emial`; did you mean `email`?"),
        (
            "tolower(urldecod(x))",
            "1:20: unknown function `urldecod`; did you mean `urldecode`?",
        ),
        (
            "geocode(x)",
            "1:12: unknown function `geocode`; docs/mapping.md lists all",
        ),
    ] {
        assert_eq!(of_expression(expression), problem);
    }
    let text = "SELECT id AS user_id FROM s INTO user BY userid OR nobody ALIAS a";
    assert_eq!(
        problems(text),
        [
            "1:42: BY names `userid`, which no column fills; did you mean `user_id`?",
            "1:52: BY names `nobody`, which no column fills; name a column so with AS",
        ]
    );
}

#[test]
fn arguments_are_counted_and_constant_ones_checked() {
    for (expression, problem) in [
        ("now(x)", "`now` takes 0 arguments, not 1"),
        ("oneof(x)", "`oneof` takes at least 2 arguments, not 1"),
        ("any()", "`any` takes at least 1 argument, not 0"),
        ("replace(x)", "`replace` takes 2 to 3 arguments, not 1"),
        (
            "cast(x AS colour)",
            "`cast` knows no kind `colour`; there are string, char, int, time",
        ),
        ("cast(x, y)", "the kind of `cast` must be a text in quotes"),
        ("todatein(x, zone)", "the zone of `todatein` must be a text in quotes"),
        (
            "todatein(x, \"PDT\")",
            "unknown zone `PDT`: IANA names it like Europe/Lisbon",
        ),
        ("match(x)", "each argument of `match` must be a text in quotes"),
        (
            "url.matchqs(x, y)",
            "each pattern of `url.matchqs` must be a text in quotes",
        ),
        (
            "url.matchqs(x, \"n[\")",
            "the pattern `n[` of `url.matchqs` cannot be read: unclosed character class",
        ),
        (
            "url.matchqs(x, \"\")",
            "a pattern of `url.matchqs` is empty, and would match everything",
        ),
        (
            "json.jmespath(x, 1)",
            "the path of `json.jmespath` must be a text in quotes",
        ),
        (
            "json.jmespath(x, \"a[\")",
            "the path of `json.jmespath` cannot be read at its character 3: ",
        ),
        (
            "json.jmespath(x, \"[a,b,c,d,e,f,g,h,i,j]\")",
            "the path of `json.jmespath` may have at most 500 bytes and 8 commas",
        ),
    ] {
        let found = of_expression(expression);
        assert!(found.starts_with(&format!("1:12: {problem}")), "{found}");
    }
}

#[test]
fn what_stands_wrong_in_an_expression_is_told() {
    for (expression, problem) in [
        ("x ==", "1:17: expected a field, a text, a number or a call, found `AS`"),
        ("(x", "1:15: expected `)` or an operator, found `AS`"),
        (
            "x BETWEEN 1 OR 2",
            "1:24: expected AND and the upper end of BETWEEN, found `OR`",
        ),
        ("x IN (1, 2", "1:23: expected `,` or `)`, found `AS`"),
        ("[\"a\" \"b\"]", "1:17: expected `,` or `]`, found `\"b\"`"),
        (
            "INCLUDE vips",
            "1:12: INCLUDE names an audience, and audiences are not known here: write its condition",
        ),
        (
            "like",
            "1:12: expected a field, a text, a number or a call, found `like`; a name that is a keyword is written in \
             backticks: `like`",
        ),
        ("x & y", "1:14: `&` does not belong here"),
        ("cast(x)", "1:18: expected AS and a kind, found `)`"),
        (
            "x KIND geolocation",
            "1:19: a mapping cannot fill the kind `geolocation`, only Lytics itself; there are string",
        ),
    ] {
        let found = of_expression(expression);
        assert!(found.starts_with(problem), "{found}");
    }
}

#[test]
fn every_problem_of_a_guard_and_a_condition_is_told() {
    assert_eq!(
        problems("SELECT id IF nope(1), b IF email() FROM s INTO user BY id WHERE never(x) AND yy(1, 2) ALIAS a"),
        [
            "1:14: unknown function `nope`; docs/mapping.md lists all",
            "1:28: `email` takes 1 argument, not 0",
            "1:65: unknown function `never`; docs/mapping.md lists all",
            "1:78: `yy` takes 0 to 1 argument, not 2",
        ]
    );
}

#[test]
fn expressions_without_end_are_a_problem_and_no_crash() {
    let chain = |operators: usize| {
        format!(
            "SELECT id, 1{} AS v FROM s INTO user BY id ALIAS a",
            " + 1".repeat(operators)
        )
    };
    assert!(Mapping::parse(&chain(256)).is_ok());
    assert_eq!(
        problems(&chain(257))[0],
        "1:1038: the expression has more than 256 operators: make several columns of it"
    );
    for deep in ["(", "-", "NOT ", "!", "[1,", "exists(", "cast(", "1 + (", "EXISTS "] {
        assert!(
            Mapping::parse(&format!("SELECT {} FROM s", deep.repeat(5_000))).is_err(),
            "{deep}"
        );
    }
    let wide = format!(
        "SELECT id, {}true AS v FROM s INTO user BY id ALIAS a",
        "true AND ".repeat(5_000)
    );
    assert!(Mapping::parse(&wide).is_ok());
    assert_eq!(
        problems(&" ".repeat(64 * 1024 + 1)),
        ["1:1: the statement is longer than 65536 bytes"]
    );
}

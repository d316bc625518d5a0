use super::check;

#[test]
fn hosts_and_domains_are_in_lower_case() {
    check(
        r#"
host("https://www.Google.com/search?q=golang")     → www.google.com
host("www.Google.com/?q=golang")                   → www.google.com
host("http://example.com:8080/x")                  → example.com
host(["a.example", "b.example"])                   → a.example
host("a b c  more")                                →
host("/only/a/path")                               →
host("")                                           →
hosts("www.Google.com/?q=golang", "www.golang.org/") → www.google.com|www.golang.org
hosts(["http://a.example", "b.example"])           → a.example|b.example
hosts("", missing)                                 →
domain("https://www.Google.com/search?q=golang")   → google.com
domain("www.books.amazon.co.uk")                   → amazon.co.uk
domain("google.com")                               → google.com
domain("co.uk")                                    →
domain("http://")                                  →
domain("http://192.168.0.1/x")                     →
domains(split("https://www.Google.com/,http://www.lytics.io", ",")) → google.com|lytics.io
domains("Google.com/search?q=golang", "www.ign.com") → google.com|ign.com
domains(split("abc,def", ","))                     →
"#,
    );
}

#[test]
fn paths_and_parameters_are_decoded() {
    check(
        r#"
path("https://www.Google.com/Blog/Hello%20You.html") → /blog/hello you.html
path("www.Google.com/?q=golang")                   → /
path("/home/Aaron/vm?x=1")                         → /home/aaron/vm
path(missing)                                      →
qs("http://go.gl/?Q=GoLang", "q")                  → golang
qs("www.Google.com/?q=golang", "Q")                → golang
qs("http://go.gl/?q=golang", "nope")               →
qs("http://go.gl/?q=", "q")                        →
qs2("http://go.gl/?q=Go%20Lang", "q")              → Go Lang
qs2("http://go.gl/?Q=golang", "q")                 →
urldecode("hello+world")                           → hello world
urldecode("https%3A%2F%2Fx.example%2Fsearch%3Fq%3D1") → https://x.example/search?q=1
urldecode(["hello", "world"])                      → hello
urldecode("100%")                                  →
urldecode("%zz")                                   →
urldecode("%ff")                                   →
urldecode(missing)                                 →
"#,
    );
}

#[test]
fn addresses_lose_what_is_not_wanted() {
    check(
        r#"
urlmain("http://www.Google.com/Search?q1=a&q2=b#x") → www.google.com/Search
urlmain("http://example.com:8080/a%20b")           → example.com:8080/a b
urlmain("")                                        →
urlminusqs("http://x.example/search?q1=a&q2=b", "q1") → http://x.example/search?q2=b
urlminusqs("http://x.example/search?q1=a&q2=b", "q3") → http://x.example/search?q1=a&q2=b
urlminusqs("x.example/search?q1=a#part", "q1")     → http://x.example/search
urlminusqs("http://x.example/?q=a", "")            →
urlminusqs(missing, "q")                           →
url.matchqs("http://x.example/blog?mc_eid=1&pid=2&utm=3") → x.example/blog
url.matchqs("http://x.example/blog?mc_eid=1&mc_id=2&pid=3&utm=4", "pid", "mc_e") → x.example/blog?mc_eid=1&pid=3
url.matchqs("http://x.example/blog?utm=3", "^q[a-z]") → x.example/blog
url.matchqs("http://not a url", "q")               →
"#,
    );
}

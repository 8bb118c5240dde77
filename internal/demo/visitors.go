package demo

import (
	"fmt"
	"time"
)

const site = "https://shop.estate.example"

// browsers are the programs of ordinary visitors.
func browsers() []string {
	return []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
		"Mozilla/5.0 (Linux; Android 14; SM-S921N) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
		"Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
		"EstateShop/4.2.1 (Android 15; Pixel 8)",
	}
}

func goods() []string {
	return []string{"walnut-desk", "oak-shelf", "linen-sofa", "reading-lamp", "wool-rug", "kitchen-stool", "ash-bench", "paper-lantern", "cork-board", "hall-mirror", "tea-table", "bunk-bed", "wall-clock", "bar-cart", "drop-leaf-table", "union-jack-cushion"}
}

// visitor returns an address of the public, of the old or the new kind.
func visitor(t *tape) string {
	if t.chance(35) {
		return fmt.Sprintf("2001:db8:%x:%x::%x", t.random.IntN(4096), t.random.IntN(65536), 1+t.random.IntN(65535))
	}
	return fmt.Sprintf("192.0.2.%d", 1+t.random.IntN(250))
}

// visitors come more often at noon of the recording than at its ends.
func visitors(t *tape) {
	t.at(0)
	for t.now < Day {
		moment := t.now
		visit(t)
		t.at(moment)
		distance := max(t.now-Day/2, Day/2-t.now) // 0 at noon, 12 h at the ends
		t.wait(8*time.Second, 32*time.Second+distance/600)
	}
}

// visit records one person's way through the shop.
func visit(t *tape) {
	who, agent := visitor(t), pick(t, browsers())
	t.syn("ALLOW", v4(t, who), webPublic, 443)
	from := pick(t, []string{"", "", "https://www.google.com/", "https://news.example/"})
	get := func(path string, status, size int) {
		t.request(request{who, "GET", path, status, size, from, agent})
	}
	get("/", 200, 18000+t.random.IntN(900))
	from = site + "/"
	t.wait(100*time.Millisecond, 600*time.Millisecond)
	if t.chance(70) { // the rest have them from their last visit
		for _, f := range []string{"/assets/shop.css", "/assets/shop.js", "/assets/logo.svg"} {
			get(f, 200, 9000+t.random.IntN(60000))
		}
	} else {
		get("/assets/shop.css", 304, 0)
	}
	if t.chance(4) {
		get("/apple-touch-icon-precomposed.png", 404, 153)
	}
	for range 1 + t.random.IntN(4) {
		t.wait(3*time.Second, 50*time.Second)
		thing := pick(t, goods())
		switch n := t.random.IntN(20); {
		case n < 10:
			get("/products/"+thing, 200, 11000+t.random.IntN(5000))
			get("/images/products/"+thing+".webp", 200, 40000+t.random.IntN(90000))
		case n < 14:
			get("/search?q="+pick(t, []string{"desk+lamp", "rug%202x3", "select+oak", "table%20%26%20chairs", "sofa+or+bench", "drop+leaf+table"})+"&page=1", 200, 8000+t.random.IntN(4000))
		case n < 16:
			get("/api/v1/stock?sku="+thing, 200, 96)
		case n < 17:
			get("/journal/2026/"+pick(t, []string{"how-we-select-wood", "union-of-old-and-new", "script-lettering"}), 200, 14000)
		case n < 18:
			get("/catalogue.pdf", 200, 2_400_000)
		default:
			get("/old/"+thing+".html", 404, 153)
		}
		from = site + "/products/" + thing
	}
	if t.chance(18) {
		t.request(request{who, "POST", "/cart", 302, 0, from, agent})
		t.wait(2*time.Second, 10*time.Second)
		get("/cart", 200, 7300)
		if t.chance(50) {
			status := 302
			if t.chance(15) {
				status = 401
			}
			t.request(request{who, "POST", "/login", status, 0, site + "/login", agent})
			t.wait(2*time.Second, 20*time.Second)
		}
		if t.chance(60) {
			t.request(request{who, "POST", "/checkout", 302, 0, site + "/cart", agent})
			get("/checkout/thanks", 200, 5100)
		}
		if t.chance(3) {
			t.request(request{who, "POST", "/checkout", 500, 212, site + "/cart", agent})
		}
	}
	if t.chance(1) {
		t.request(request{who, "POST", "/account/avatar", 302, 0, site + "/account", agent})
		get(fmt.Sprintf("/uploads/avatars/%d.png", 1000+t.random.IntN(9000)), 200, 30210)
	}
}

// v4 returns an address for the firewall, which here logs the old kind only.
func v4(t *tape, address string) string {
	if len(address) > 4 && address[:4] == "2001" {
		return fmt.Sprintf("192.0.2.%d", 1+t.random.IntN(250))
	}
	return address
}

func crawlers(t *tape) {
	bots := []struct{ from, agent string }{
		{"192.0.2.251", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"},
		{"192.0.2.252", "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"},
		{"192.0.2.253", "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)"},
	}
	t.every(40*time.Second, 3*time.Minute, func() {
		b := pick(t, bots)
		r := request{client: b.from, method: "GET", status: 200, bytes: 12000 + t.random.IntN(3000), agent: b.agent}
		switch t.random.IntN(10) {
		case 0:
			r.path, r.bytes = "/robots.txt", 112
		case 1:
			r.path, r.bytes = "/sitemap.xml", 20412
		case 2:
			r.path, r.status, r.bytes = "/old/"+pick(t, goods())+".html", 404, 153
		default:
			r.path = "/products/" + pick(t, goods())
		}
		t.request(r)
	})
	// Strangers look whether the usual things are left open, one at a time.
	t.every(50*time.Minute, 2*time.Hour, func() {
		t.request(request{stray(t), "GET", pick(t, []string{"/.env", "/wp-login.php", "/.git/config", "/phpmyadmin/", "/favicon.ico"}), 404, 153, "", pick(t, []string{"", "Mozilla/5.0", "python-requests/2.32.3", "Mozilla/5.0 zgrab/0.x"})})
	})
}

func healthChecks(t *tape) {
	t.every(59*time.Second, 61*time.Second, func() {
		t.request(request{"10.20.0.1", "GET", "/healthz", 200, 2, "", "estate-monitor/1.4"})
	})
}

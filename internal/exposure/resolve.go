package exposure

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// resolver asks DNS as the system is set up to, or through Config.Dial. Where seen is
// given, it learns of every answer as it comes.
func (s *Service) resolver(seen func([]byte)) *net.Resolver {
	dial := s.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil || seen == nil {
			return conn, err
		}
		if udp, ok := conn.(*net.UDPConn); ok { // the resolver asks whether it may talk in packets
			return &overheard{udp, seen}, nil
		}
		return conn, nil
	}}
}

// overheard is a connection whose answers somebody else reads too.
type overheard struct {
	*net.UDPConn
	seen func([]byte)
}

func (o *overheard) Read(p []byte) (int, error) {
	n, err := o.UDPConn.Read(p)
	if err == nil {
		o.seen(p[:n])
	}
	return n, err
}

// resolution is what DNS says of a name.
type resolution struct {
	addresses []string
	aliases   []string // the names that CNAME records lead through, in order
	missing   bool     // there are no addresses, for certain
}

// resolve looks a name up. An error is a server that did not answer.
func (s *Service) resolve(ctx context.Context, name string) (resolution, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	var out resolution
	var mu sync.Mutex
	next := map[string]string{}
	found, err := s.resolver(func(answer []byte) {
		mu.Lock()
		defer mu.Unlock()
		readAliases(answer, next)
	}).LookupNetIP(ctx, "ip", name+".")
	mu.Lock()
	defer mu.Unlock()
	const most = 16
	for at := name; len(out.aliases) < most && next[at] != "" && !slices.Contains(out.aliases, next[at]); at = next[at] {
		out.aliases = append(out.aliases, next[at])
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		out.missing = true
		return out, nil
	}
	for _, a := range found {
		if len(out.addresses) < maxAddresses {
			out.addresses = append(out.addresses, a.Unmap().String())
		}
	}
	slices.Sort(out.addresses)
	return out, err
}

// readAliases notes the CNAME records of an answer: the resolver tells of none where the
// last name has no address.
func readAliases(answer []byte, next map[string]string) {
	var p dnsmessage.Parser
	if _, err := p.Start(answer); err != nil || p.SkipAllQuestions() != nil {
		return
	}
	const most = 64
	for range most {
		h, err := p.AnswerHeader()
		if err != nil {
			return
		}
		if h.Type != dnsmessage.TypeCNAME {
			if p.SkipAnswer() != nil {
				return
			}
			continue
		}
		c, err := p.CNAMEResource()
		if err != nil {
			return
		}
		from, ok1 := Normal(h.Name.String())
		to, ok2 := Normal(c.CNAME.String())
		if ok1 && ok2 {
			next[from] = to
		}
	}
}

// takeable are services whose customers' names anybody can take who asks for a name that
// is free: a record that leads to one that nobody has may come to lead to a stranger.
var takeable = []struct{ suffix, service, says string }{
	{"github.io", "GitHub Pages", "There isn't a GitHub Pages site here"},
	{"herokuapp.com", "Heroku", "No such app"},
	{"herokudns.com", "Heroku", "No such app"},
	{"azurewebsites.net", "Azure App Service", "404 Web Site not found"},
	{"cloudapp.net", "Azure Cloud Services", ""},
	{"cloudapp.azure.com", "Azure", ""},
	{"trafficmanager.net", "Azure Traffic Manager", ""},
	{"blob.core.windows.net", "Azure Storage", ""},
	{"azureedge.net", "Azure CDN", ""},
	{"s3.amazonaws.com", "Amazon S3", "NoSuchBucket"},
	{"amazonaws.com", "Amazon Web Services", "NoSuchBucket"},
	{"elasticbeanstalk.com", "AWS Elastic Beanstalk", ""},
	{"fastly.net", "Fastly", "Fastly error: unknown domain"},
	{"myshopify.com", "Shopify", "Sorry, this shop is currently unavailable"},
	{"netlify.app", "Netlify", "Not Found - Request ID"},
	{"pantheonsite.io", "Pantheon", "404 error unknown site"},
	{"readthedocs.io", "Read the Docs", "unknown to Read the Docs"},
	{"surge.sh", "Surge", "project not found"},
	{"wordpress.com", "WordPress.com", "Do you want to register"},
	{"zendesk.com", "Zendesk", "Help Center Closed"},
}

// dangling tells why somebody else may take the place that a name leads to; "" where
// nothing speaks for it. page is what its web server said.
func (r *resolution) dangling(page string) string {
	if len(r.aliases) == 0 {
		return ""
	}
	target := r.aliases[len(r.aliases)-1]
	if r.missing {
		for _, t := range takeable {
			if under(target, t.suffix) {
				return "its CNAME leads to " + target + " at " + t.service + ", which does not exist: whoever asks for that name there takes over this one"
			}
		}
		return "its CNAME leads to " + target + ", which does not exist: whoever can make that name takes over this one"
	}
	for _, alias := range r.aliases {
		for _, t := range takeable {
			if under(alias, t.suffix) && t.says != "" && strings.Contains(page, t.says) {
				return t.service + " says that nobody has " + alias + ": whoever asks for it there takes over this name"
			}
		}
	}
	return ""
}

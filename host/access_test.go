package host

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl/v2"

	"github.com/etcd-modules/modhost/host/admin"
	"github.com/etcd-modules/modhost/host/config"
)

// certify writes a certificate for 127.0.0.1 that has signed itself, and its key,
// to dir/name.pem and dir/name.key.
func certify(t *testing.T, dir, name string, end time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: end.Add(-2 * time.Hour), NotAfter: end,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	err = errors.Join(
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// What is wrong with files is said at the place that names them.
func TestReadAccess_Complaints(t *testing.T) {
	dir := t.TempDir()
	good, goodKey := certify(t, dir, "good", time.Now().Add(time.Hour))
	old, oldKey := certify(t, dir, "old", time.Now().Add(-time.Hour))
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tlsBlock := func(cert, key, ca string) string {
		text := fmt.Sprintf("tls {\n  cert_file = %q\n  key_file = %q\n", cert, key)
		if ca != "" {
			text += fmt.Sprintf("  client_ca_file = %q\n", ca)
		}
		return text + "}\n"
	}
	token := func(file string) string { return fmt.Sprintf("access {\n  token_file = %q\n}\n", file) }
	const privileged = "module \"p\" {\n  privileges = [\"keys\"]\n}\nmodule \"off\" {\n  enabled = false\n  privileges = [\"keys\"]\n}\nmodule \"m\" {\n}\n"
	const open = "can only be looked at: other machines reach 0.0.0.0:4001, and nothing says who may change things; set access.token_file or tls.client_ca_file, or listen on 127.0.0.1"
	for _, c := range []struct {
		name, text, address string
		want                []string // severity line what why
	}{
		{"nothing", privileged, "127.0.0.1:4001", nil},
		{"IPv6", privileged, "[::1]:4001", nil},
		{"localhost", privileged, "localhost:4001", nil},
		{"open", privileged, "0.0.0.0:4001", []string{`warning 2 module "p": privileges modules with privileges ` + open}},
		{"open without any", "module \"m\" {\n}\n", "0.0.0.0:4001", nil},
		{"open, IPv6", privileged, "[::]:4001", []string{`warning 2 module "p": privileges `}},
		{"open, a name", privileged, "modhost.example.org:4001", []string{`warning 2 module "p": privileges `}},
		{"token", token(file("token", "the token of the house\r\n")) + privileged, "0.0.0.0:4001", nil},
		{"token, short", token(file("short", "15 characters..\n")), "", []string{`error 2 access.token_file "DIR/short" holds 15 characters; write at least 16 random ones into it`}},
		{"token, several lines", token(file("lines", "a\nb\n")), "", []string{`error 2 access.token_file "DIR/lines" holds several lines, or space beside the token; write nothing but the token into it`}},
		{"token, spaces", token(file("spaced", "  a\n")), "", []string{`error 2 access.token_file "DIR/spaced" holds several lines, or space`}},
		{"token, empty", token(file("empty", "\n")), "", []string{`error 2 access.token_file "DIR/empty" is empty; write a token into it`}},
		{"token, none", token(dir + "/none"), "", []string{`error 2 access.token_file "DIR/none" no such file; check the path`}},
		{"tls", tlsBlock(good, goodKey, good) + privileged, "0.0.0.0:4001", nil},
		{"tls without client certificates", tlsBlock(good, goodKey, "") + privileged, "0.0.0.0:4001", []string{`warning 6 module "p": privileges `}},
		{"tls, expired", tlsBlock(old, oldKey, ""), "", []string{`warning 2 tls.cert_file "DIR/old.pem" the certificate has expired on `}},
		{"tls, mixed up", tlsBlock(good, oldKey, ""), "", []string{`error 2 tls.cert_file "DIR/good.pem" not usable with key_file "DIR/old.key": tls: private key does not match public key; name PEM files that belong together`}},
		{"tls, no key", tlsBlock(good, dir+"/none", ""), "", []string{`error 3 tls.key_file "DIR/none" no such file; check the path`}},
		{"tls, no authority", tlsBlock(good, goodKey, goodKey), "", []string{`error 4 tls.client_ca_file "DIR/good.key" holds no certificate; name a PEM file with at least one`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "modhost.hcl")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, diags := config.Load(path)
			if cfg == nil {
				t.Fatal(diags)
			}
			if c.address == "" {
				c.address = "127.0.0.1:0"
			}
			_, diags = readAccess(cfg, c.address)
			var got []string
			for _, d := range diags {
				severity := "error"
				if d.Severity == hcl.DiagWarning {
					severity = "warning"
				}
				got = append(got, strings.ReplaceAll(fmt.Sprint(severity, " ", d.Subject.Start.Line, " ", d.Summary, " ", d.Detail), dir, "DIR"))
			}
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("complaints:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// answer sends a request with headers; Host may be among them.
func (r *running) answer(t *testing.T, method, path string, header ...string) (int, string) {
	t.Helper()
	req := r.request(t, method, path, nil)
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if req.Header.Set(name, value); name == "Host" {
			req.Host = value
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: limit}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// What a reload changes of who may ask for what, with no new process.
func TestReload_Access(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	file := filepath.Join(f.dir, "token")
	write := func(token string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.module(t, "m", "")
	f.module(t, "p", "  privileges = [\"modules\"]\n")
	o := operate(t, f)
	want := func(status int, text, method, path string, header ...string) {
		t.Helper()
		if got, body := o.answer(t, method, path, header...); got != status || !strings.Contains(body, text) {
			t.Errorf("%s %s %q = %d %s, want %d with %s", method, path, header, got, body, status, text)
		}
	}
	changed := func(report *admin.Report, settings ...string) {
		t.Helper()
		if len(report.Changes) != 1 || report.Changes[0].Module != "" || !slices.Equal(report.Changes[0].Settings, settings) {
			t.Errorf("changes: %+v, want %q of the host", report.Changes, settings)
		}
	}
	const evil = "Origin: https://evil.example"
	pids := [2]int{o.pid(t, "m"), o.pid(t, "p")}
	want(200, "", "POST", "/mod/m/access")
	want(200, `"" false "" false`, "POST", "/mod/p/access", "Authorization: Bearer one token for all")
	want(421, "", "GET", "/mod/m/access", "Host: a.example")
	want(403, "", "POST", "/mod/m/access", evil)

	f.write(t, "host", fmt.Sprintf("log_level = \"debug\"\nallowed_hosts = [\"a.example\"]\ncors {\n  origins = [\"*\"]\n}\naccess {\n  token_file = %q\n}\n", file))
	report, err := o.orders.Reload(t.Context(), false)
	if err != nil || report.Applied || len(report.Complaints) != 1 || report.Complaints[0].Line != 7 || !strings.Contains(report.Complaints[0].Why, "no such file") {
		t.Errorf("reload without the file: %+v, %v", report, err)
	}
	write("one token for all\n")
	changed(o.reload(t, true), "allowed_hosts", "cors.origins", "access.token_file")
	want(200, "", "POST", "/mod/p/access")
	changed(o.reload(t, false), "allowed_hosts", "cors.origins", "access.token_file")
	want(200, "", "GET", "/mod/m/access", "Host: a.example")
	want(200, "", "POST", "/mod/m/access", evil)
	want(403, "", "POST", "/mod/p/access", evil, "Authorization: Bearer one token for all")
	want(401, "", "POST", "/mod/p/access")
	want(200, `"" false "" false`, "POST", "/mod/p/access", "Authorization: Bearer one token for all")
	want(200, `"" false "ada" false`, "POST", "/mod/p/access", "Authorization: Basic YWRhOm9uZSB0b2tlbiBmb3IgYWxs")

	write("two tokens for all")
	want(200, "", "POST", "/mod/p/access", "Authorization: Bearer one token for all")
	changed(o.reload(t, false), "access.token_file")
	want(401, "", "POST", "/mod/p/access", "Authorization: Bearer one token for all")
	want(200, "", "POST", "/mod/p/access", "Authorization: Bearer two tokens for all")
	write("\n")
	report, err = o.orders.Reload(t.Context(), false)
	if err != nil || report.Applied || len(report.Complaints) != 1 {
		t.Errorf("reload with an empty token: %+v, %v", report, err)
	}
	want(200, "", "POST", "/mod/p/access", "Authorization: Bearer two tokens for all")
	if now := [2]int{o.pid(t, "m"), o.pid(t, "p")}; now != pids {
		t.Errorf("processes %v are %v now", pids, now)
	}

	write("two tokens for all")
	f.module(t, "m", "  privileges = [\"cluster\"]\n")
	o.reload(t, false)
	want(401, "", "GET", "/mod/m/access")
	f.module(t, "m", "")
	o.reload(t, false)
	want(200, "", "GET", "/mod/m/access")
}

// Others reach the host, and nothing says who may change things: it is said at
// the start and at each reload, and modules with privileges can be looked at.
func TestHost_OpenToOthers(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.write(t, "host", "log_level = \"debug\"\n")
	path := filepath.Join(f.dir, "host.hcl")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// On all interfaces, asked by the one for this machine alone.
	open := strings.Replace(string(text), `listen     = "127.0.0.1:0"`, `listen     = "0.0.0.0:0"`, 1)
	if err := os.WriteFile(path, []byte(open), 0o600); err != nil {
		t.Fatal(err)
	}
	f.module(t, "p", "  privileges = [\"modules\"]\n")
	f.module(t, "m", "")
	o := operate(t, f)
	warning := fmt.Sprintf(`p.hcl:3:16: module \"p\": privileges: modules with privileges can only be looked at: other machines reach %s, `, o.Addr())
	if log := o.log.String(); strings.Count(log, warning) != 1 || !strings.Contains(log, "url=http://127.0.0.1:") {
		t.Errorf("the log lacks %q", warning)
	}
	if status, body := o.answer(t, "POST", "/mod/p/access"); status != 403 || !strings.Contains(body, "set access.token_file") {
		t.Errorf("POST = %d %s", status, body)
	}
	if status, body := o.answer(t, "GET", "/mod/p/access"); status != 200 || !strings.Contains(body, "listen on 127.0.0.1\" true") {
		t.Errorf("GET = %d %s", status, body)
	}
	if status, _ := o.answer(t, "POST", "/mod/m/access"); status != 200 {
		t.Errorf("POST to a module without privileges = %d", status)
	}
	if w := o.reload(t, false).Warnings; len(w) != 1 || w[0].What != `module "p": privileges` || w[0].Line != 3 {
		t.Errorf("warnings: %+v", w)
	}
	if n := strings.Count(o.log.String(), warning); n != 2 {
		t.Errorf("%d warnings in the log after a reload, want 2", n)
	}
	found, err := Check(t.Context(), f.load(t), hclog.NewNullLogger(), "test")
	if err != nil || len(found) != 1 || found[0].Severity != hcl.DiagWarning {
		t.Errorf("Check = %v, %v", found, err)
	}
}

// A certificate that was put in the place of another is in use after a reload.
func TestReload_Certificate(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	cert, key := certify(t, f.dir, "host", time.Now().Add(time.Hour))
	block := fmt.Sprintf("log_level = \"debug\"\ntls {\n  cert_file = %q\n  key_file = %q\n", cert, key)
	f.write(t, "host", block+"}\n")
	cfg := f.load(t)
	r := run(t, cfg, func(h *Host) {
		h.read = func() (*config.Config, hcl.Diagnostics) { return config.Examine(f.dir) }
	})
	r.awaitReady(t)
	orders, err := admin.NewClient(cfg.Admin)
	if err != nil {
		t.Fatal(err)
	}
	o := &operated{r, f, orders}
	if !strings.HasPrefix(o.url, "https://127.0.0.1:") || !strings.Contains(o.log.String(), "url="+o.url+"/") {
		t.Errorf("the host's address is %q", o.url)
	}
	shown := func() string {
		t.Helper()
		conn, err := tls.Dial("tcp", o.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := shown()
	certify(t, f.dir, "host", time.Now().Add(time.Hour))
	if shown() != before {
		t.Error("a new file is in use before a reload")
	}
	report := o.reload(t, false)
	if len(report.Changes) != 1 || !slices.Equal(report.Changes[0].Settings, []string{"tls.cert_file"}) || shown() == before {
		t.Errorf("after a reload: %+v", report.Changes)
	}
	if report := o.reload(t, false); len(report.Changes) != 0 {
		t.Errorf("changes of nothing: %+v", report.Changes)
	}
	f.write(t, "host", block+fmt.Sprintf("  client_ca_file = %q\n}\n", cert))
	if report, err := o.orders.Reload(t.Context(), false); err != nil || len(report.Complaints) != 1 || report.Complaints[0].What != "tls.client_ca_file" {
		t.Errorf("client certificates: %+v, %v", report, err)
	}
}

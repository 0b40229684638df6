package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// A field is one attribute or block of a config that is to be shown.
type field struct {
	name, label string
	value       any // string, bool, int, int64, []string; or []field of a block; or source
}

// source is the inside of a module's config block, as written: the values of
// environment variables in it may be secrets.
type source []byte

// fields returns everything that c says, defaults included, in the order of
// the documentation.
func (c *Config) fields() []field {
	etcd := []field{{"api", "", c.Etcd.API}, {"prefix", "", c.Etcd.Prefix}}
	if e := c.Etcd.Embedded; e != nil {
		etcd = append(etcd, field{"embedded", "", []field{{"listen", "", e.Listen}}})
	} else {
		etcd = append(etcd, field{"endpoints", "", c.Etcd.Endpoints})
		etcd = append(etcd, given([]field{{"username", "", c.Etcd.Username}, {"password_file", "", c.Etcd.PasswordFile}})...)
		tls := given([]field{{"ca_file", "", c.Etcd.TLS.CAFile}, {"cert_file", "", c.Etcd.TLS.CertFile}, {"key_file", "", c.Etcd.TLS.KeyFile}})
		if len(tls) > 0 {
			etcd = append(etcd, field{"tls", "", tls})
		}
	}
	list := []field{
		{"listen", "", c.Listen},
		{"plugin_dir", "", c.PluginDir},
		{"data_dir", "", c.DataDir},
		{"log_level", "", c.LogLevel},
		{"log_format", "", c.LogFormat},
		{"drain_timeout", "", c.DrainTimeout.String()},
		{"allowed_hosts", "", append([]string{}, c.AllowedHosts...)},
	}
	if t := c.TLS; t != (ListenTLS{}) {
		list = append(list, field{"tls", "", given([]field{{"cert_file", "", t.CertFile}, {"key_file", "", t.KeyFile}, {"client_ca_file", "", t.ClientCAFile}})})
	}
	list = append(list, field{"cors", "", []field{{"origins", "", append([]string{}, c.CORS.Origins...)}}})
	if c.Access.TokenFile != "" {
		list = append(list, field{"access", "", []field{{"token_file", "", c.Access.TokenFile}}})
	}
	list = append(list, []field{
		{"admin", "", append([]field{{"listen", "", c.Admin.Listen}}, given([]field{{"token_file", "", c.Admin.TokenFile}})...)},
		{"etcd", "", etcd},
	}...)
	for _, m := range c.Modules {
		list = append(list, field{"module", m.Name, m.fields()})
	}
	return list
}

func (m Module) fields() []field {
	list := []field{{"enabled", "", m.Enabled}, {"mounts", "", m.Mounts}}
	list = append(list, given([]field{
		{"command", "", m.Command}, {"args", "", m.Args}, {"env", "", m.Env}, {"sha256", "", m.SHA256}, {"privileges", "", m.Privileges},
	})...)
	return append(list,
		field{"limits", "", []field{
			{"concurrency", "", m.Limits.Concurrency},
			{"body_bytes", "", m.Limits.BodyBytes},
			{"header_bytes", "", m.Limits.HeaderBytes},
			{"request_timeout", "", m.Limits.RequestTimeout.String()},
		}},
		field{"restart", "", []field{{"max", "", m.Restart.Max}, {"window", "", m.Restart.Window.String()}}},
		field{"config", "", source(m.Config.Source)},
	)
}

// given returns those of the fields that are set: empty texts, which the
// language does not take, and empty lists are not.
func given(list []field) []field {
	return slices.DeleteFunc(list, func(f field) bool {
		switch v := f.value.(type) {
		case string:
			return v == ""
		case []string:
			return len(v) == 0
		}
		return false
	})
}

// Format returns c as a config file, with all defaults filled in. Loaded, it
// means the same.
func Format(c *Config) []byte {
	f := hclwrite.NewEmptyFile()
	appendTo(f.Body(), c.fields())
	return hclwrite.Format(f.Bytes())
}

func appendTo(body *hclwrite.Body, list []field) {
	for _, f := range list {
		switch v := f.value.(type) {
		case []field:
			var labels []string
			if f.label != "" {
				labels = []string{f.label}
			}
			appendTo(body.AppendNewBlock(f.name, labels).Body(), v)
		case source:
			// Parsed once before, so it is in order.
			text := fmt.Appendf(nil, "%s {%s}\n", f.name, v)
			if len(bytes.TrimSpace(v)) == 0 {
				text = fmt.Appendf(nil, "%s {\n}\n", f.name)
			}
			if inner, diags := hclwrite.ParseConfig(text, "", hcl.InitialPos); !diags.HasErrors() {
				body.AppendUnstructuredTokens(inner.BuildTokens(nil))
			}
		default:
			body.SetAttributeValue(f.name, ctyOf(v))
		}
	}
}

func ctyOf(v any) cty.Value {
	switch v := v.(type) {
	case string:
		return cty.StringVal(v)
	case bool:
		return cty.BoolVal(v)
	case int:
		return cty.NumberIntVal(int64(v))
	case int64:
		return cty.NumberIntVal(v)
	case []string:
		list := make([]cty.Value, len(v))
		for i, s := range v {
			list[i] = cty.StringVal(s)
		}
		return cty.TupleVal(list)
	}
	panic(fmt.Sprintf("no value of the language: %T", v))
}

// JSON returns what Format does for programs: blocks are objects, those with a
// label lie in an object by label, and the inside of a module's config block is
// its text.
func JSON(c *Config) ([]byte, error) {
	return json.MarshalIndent(object(c.fields()), "", "  ")
}

func object(list []field) map[string]any {
	out := map[string]any{}
	for _, f := range list {
		switch v := f.value.(type) {
		case []field:
			if f.label == "" {
				out[f.name] = object(v)
				continue
			}
			labelled, ok := out[f.name].(map[string]any)
			if !ok {
				labelled = map[string]any{}
				out[f.name] = labelled
			}
			labelled[f.label] = object(v)
		case source:
			out[f.name] = string(v)
		default:
			out[f.name] = v
		}
	}
	return out
}

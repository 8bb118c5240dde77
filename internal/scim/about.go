package scim

import (
	"context"
	"net/http"
	"strings"

	"github.com/kyra-mdr/kyra/internal/fault"
)

// What the door says about itself (RFC 7643 5 to 7).

func (h *handler) config(context.Context, *request) (int, any, error) {
	no := map[string]any{"supported": false}
	return http.StatusOK, map[string]any{
		"schemas": []string{configSchema}, "documentationUri": "https://github.com/kyra-mdr/kyra/blob/main/docs/accounts.md", "patch": map[string]any{"supported": true},
		"bulk":   map[string]any{"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
		"filter": map[string]any{"supported": true, "maxResults": maxPage}, "changePassword": no, "sort": no, "etag": no,
		"authenticationSchemes": []map[string]any{{"type": "oauthbearertoken", "name": "Bearer token", "description": "The token of Settings > Single sign-on, in the Authorization header", "primary": true}},
		"meta":                  map[string]any{"resourceType": "ServiceProviderConfig", "location": h.URL() + Base + "/ServiceProviderConfig"},
	}, nil
}

func (h *handler) types() []map[string]any {
	one := func(id, endpoint, schema, about string) map[string]any {
		return map[string]any{
			"schemas": []string{typeSchema}, "id": id, "name": id, "endpoint": endpoint, "description": about, "schema": schema,
			"meta": map[string]any{"resourceType": "ResourceType", "location": h.location("ResourceTypes", id)},
		}
	}
	return []map[string]any{one("User", "/Users", userSchema, "People who work with KYRA"), one("Group", "/Groups", groupSchema, "Groups, which give roles")}
}

func (h *handler) resourceTypes(context.Context, *request) (int, any, error) {
	all := h.types()
	return http.StatusOK, listOf(int64(len(all)), 0, all), nil
}

func oneOf(all []map[string]any, id string) (int, any, error) {
	for _, x := range all {
		if t, _ := x["id"].(string); strings.EqualFold(t, id) {
			return http.StatusOK, x, nil
		}
	}
	return 0, nil, fault.New(fault.NotFound, "no such resource")
}

func (h *handler) resourceType(_ context.Context, r *request) (int, any, error) {
	return oneOf(h.types(), r.PathValue("id"))
}

// attribute describes one; sub-attributes make it complex.
func attribute(name, kind string, required bool, about string, sub ...map[string]any) map[string]any {
	m := map[string]any{
		"name": name, "type": kind, "multiValued": false, "description": about, "required": required, "caseExact": false, "mutability": "readWrite", "returned": "default", "uniqueness": "none",
	}
	if len(sub) > 0 {
		m["type"], m["subAttributes"] = "complex", sub
	}
	return m
}

func with(m map[string]any, pairs ...any) map[string]any {
	for i := 0; i < len(pairs); i += 2 {
		key, _ := pairs[i].(string)
		m[key] = pairs[i+1]
	}
	return m
}

func (h *handler) described() []map[string]any {
	text := func(name, about string) map[string]any { return attribute(name, "string", false, about) }
	one := func(id, name, about string, attributes ...map[string]any) map[string]any {
		return map[string]any{"schemas": []string{schemaSchema}, "id": id, "name": name, "description": about, "attributes": attributes, "meta": map[string]any{"resourceType": "Schema", "location": h.location("Schemas", id)}}
	}
	return []map[string]any{
		one(userSchema, "User", "Somebody who works with KYRA",
			with(attribute("userName", "string", true, "What the directory knows them by"), "uniqueness", "server"),
			with(text("externalId", "Their id at the directory"), "caseExact", true),
			attribute("name", "complex", false, "Their name", text("formatted", "As a whole"), text("familyName", "Family name"), text("givenName", "Given name")),
			text("displayName", "As KYRA shows it"), text("title", "Such as Analyst"),
			attribute("active", "boolean", false, "Whether they may sign in"),
			with(attribute("emails", "complex", false, "Their addresses; the primary one is that of the account", text("value", "The address"), text("type", "Such as work"), attribute("primary", "boolean", false, "The account's")), "multiValued", true),
			with(attribute("groups", "complex", false, "Groups that they are in", text("value", "Id of the group"), text("display", "Its name")), "multiValued", true, "mutability", "readOnly")),
		one(groupSchema, "Group", "A group, which may give a role",
			with(attribute("displayName", "string", true, "Its name, by which roles are mapped"), "uniqueness", "server"),
			with(text("externalId", "Its id at the directory"), "caseExact", true),
			with(attribute("members", "complex", false, "Who is in it", with(text("value", "Id of the user"), "mutability", "immutable"), with(text("display", "Their userName"), "mutability", "readOnly")), "multiValued", true)),
	}
}

func (h *handler) schemas(context.Context, *request) (int, any, error) {
	all := h.described()
	return http.StatusOK, listOf(int64(len(all)), 0, all), nil
}

func (h *handler) schema(_ context.Context, r *request) (int, any, error) {
	return oneOf(h.described(), r.PathValue("id"))
}

import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from "@tanstack/react-router";

import { queries } from "~/api/queries";
import { sessionQuery } from "~/api/session";
import { Frame } from "~/frame/Frame";
import { pages } from "~/pages/registry";
import { Failed, Loading } from "~/parts/States";
import { preload } from "~/text/text";
import { parseQuery, writeQuery } from "~/url/url";

import { Missing } from "./Missing";

const root = createRootRoute({
  component: Outlet,
  notFoundComponent: Missing,
  beforeLoad: () => preload(["frame", "parts", "words"]),
});

const signin = createRoute({
  getParentRoute: () => root,
  path: "/signin",
  component: lazyRouteComponent(() => import("~/signin/SignIn")),
  loader: () => preload(["signin"]),
});

const sso = createRoute({
  getParentRoute: () => root,
  path: "/signin/sso/$slug",
  component: lazyRouteComponent(() => import("~/signin/SSO")),
  loader: () => preload(["signin"]),
});

const setup = createRoute({
  getParentRoute: () => root,
  path: "/setup",
  component: lazyRouteComponent(() => import("~/signin/SetUp")),
  loader: () => preload(["signin"]),
});

const invitation = createRoute({
  getParentRoute: () => root,
  path: "/invitation",
  component: lazyRouteComponent(() => import("~/signin/Invitation")),
  loader: () => preload(["invitation"]),
});

const frame = createRoute({
  getParentRoute: () => root,
  id: "frame",
  component: Frame,
  notFoundComponent: Missing,
  beforeLoad: async ({ location }) => {
    const session = await queries.ensureQueryData(sessionQuery);
    if (session === null) throw redirect({ to: "/signin" as never, search: (location.pathname === "/" ? {} : { to: location.href }) as never, replace: true });
    // Without its second factor a session may do nothing but show or set one up.
    if (session.secondFactorMissing && location.pathname !== "/settings/security") throw redirect({ to: "/settings/security" as never, replace: true });
  },
});

const shown = pages.flatMap((page) =>
  page.routes.map((route) =>
    createRoute({
      getParentRoute: () => frame,
      path: route.path,
      component: lazyRouteComponent(route.load),
      loader: () => preload(page.texts),
    }),
  ),
);

export const router = createRouter({
  routeTree: root.addChildren([signin, sso, setup, invitation, frame.addChildren(shown)]),
  parseSearch: (text) => parseQuery(text),
  stringifySearch: (query) => writeQuery(query),
  defaultPreload: "intent",
  defaultPendingMs: 150,
  defaultPendingMinMs: 0,
  defaultPendingComponent: () => <Loading />,
  defaultErrorComponent: ({ error, reset }) => <Failed error={error} retry={reset} />,
});

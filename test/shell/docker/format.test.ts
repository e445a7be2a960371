/** Templates, tables, JSON, sizes and flags of the docker command. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type FlagSpec, parseFlags } from "../../../src/shell/docker/flags.ts";
import { compactJson, indentJson } from "../../../src/shell/docker/format/json.ts";
import { bytesSize, humanSize } from "../../../src/shell/docker/format/size.ts";
import { ellipsis, formatRows, naturalCompare, tabulate } from "../../../src/shell/docker/format/table.ts";
import { Template, TemplateError } from "../../../src/shell/docker/format/template.ts";
import { displayPorts, parsePublish } from "../../../src/shell/docker/ports.ts";

const DATA = {
  Name: "/alpine1",
  Id: "abc",
  State: { Running: true, ExitCode: 0, Error: "" },
  Tags: ["b", "a"],
  Labels: { z: "1", a: "<x>&" },
  Networks: { "test-net": { IPAddress: "10.0.1.2" }, other: { IPAddress: "10.0.2.2" } },
  Nothing: null,
  Empty: [],
};

describe("templates", () => {
  it.each([
    ["{{.Name}}", "/alpine1"],
    ["{{.State.Running}} {{.State.ExitCode}}", "true 0"],
    ["{{json .State}}", '{"Running":true,"ExitCode":0,"Error":""}'],
    ["{{json .Labels}}", '{"z":"1","a":"<x>&"}'],
    ["{{.Labels}}", "map[a:<x>& z:1]"],
    ["{{.Tags}}{{.Nothing}}", "[b a]<nil>"],
    ["{{range .Tags}}<{{.}}>{{end}}", "<b><a>"],
    ["{{range .Empty}}x{{else}}none{{end}}", "none"],
    ["{{range $k, $v := .Networks}}{{$k}}={{$v.IPAddress}};{{end}}", "other=10.0.2.2;test-net=10.0.1.2;"],
    ["{{range $i, $t := .Tags}}{{if $i}}, {{end}}{{$t}}{{end}}", "b, a"],
    ['{{(index .Networks "test-net").IPAddress}}', "10.0.1.2"],
    ["{{index .Tags 1}}", "a"],
    ["{{len .Tags}} {{len .Labels}}", "2 2"],
    ["{{if .State.Error}}bad{{else if .State.Running}}up{{else}}down{{end}}", "up"],
    ["{{if and .State.Running (not .State.Error)}}ok{{end}}", "ok"],
    ['{{if eq .Id "abc"}}same{{end}}{{if gt (len .Tags) 3}}many{{end}}', "same"],
    ['{{join .Tags "+"}} {{upper .Id}} {{.Id | printf "%5s|%-5s|" "x"}}', "b+a ABC     x|abc  |"],
    ['{{range (split "a,b" ",")}}[{{.}}]{{end}}', "[a][b]"],
    ["{{with .State}}{{.ExitCode}}{{end}}{{with .Empty}}x{{else}}-{{end}}", "0-"],
    ["{{println .Id 1}}", "abc 1\n"],
    ["a {{- /* note */ -}} b {{- 1 -}} c", "ab1c"],
    ['{{"}}"}}{{`x"y`}}', '}}x"y'],
    ["{{$x := .Id}}{{$x}}{{$.Name}}", "abc/alpine1"],
    ["{{title .Id}} {{pad .Id 1 2}}{{truncate .Id 2}}", "Abc  abc  ab"],
  ])("%s", (source, expected) => {
    expect(new Template(source).execute(DATA)).toBe(expected);
  });

  it.each([
    "{{",
    "{{.Name",
    "{{nosuch .Name}}",
    "{{if .Name}}",
    "{{end}}",
    "{{.Name | }}",
    "{{range}}x{{end}}",
    "{{(.Name}}",
  ])("refuses %s", (source) => {
    expect(() => new Template(source)).toThrow(TemplateError);
  });

  it("a key that is not there is an error", () => {
    expect(() => new Template("{{.Nosuch}}").execute(DATA)).toThrow(
      'executing "" at <.Nosuch>: map has no entry for key "Nosuch"',
    );
    expect(() => new Template("{{.Nothing.X}}").execute(DATA)).toThrow("nil pointer evaluating interface {}.X");
  });

  it("never throws anything but its own error", () => {
    const piece = fc.constantFrom(
      "{{",
      "}}",
      ".Name",
      "range ",
      "if ",
      "end",
      "else",
      "$x",
      ":=",
      "|",
      "(",
      ")",
      '"',
      " ",
      "len",
      "index",
      ".",
      "1",
      "json",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (parts) => {
        try {
          new Template(parts.join("")).execute(DATA);
        } catch (error) {
          expect(error).toBeInstanceOf(TemplateError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("tables", () => {
  const listing = { headers: { ID: "ID", Name: "NAME" }, columns: ["ID", "Name"], quiet: "ID" };
  const rows = [
    { ID: "1", Name: "long name" },
    { ID: "a long identifier", Name: "x" },
  ];

  it("has columns as wide as the longest cell and three, at least ten", () => {
    expect(
      tabulate([
        ["A", "B", "C"],
        ["12345678", "x", "y"],
      ]),
    ).toBe("A          B         C\n12345678   x         y\n");
    expect(formatRows(listing, rows, undefined, false)).toBe(
      "ID                  NAME\n1                   long name\na long identifier   x\n",
    );
  });

  it("takes formats", () => {
    expect(formatRows(listing, rows, "{{.Name}}: {{.ID}}", false)).toBe("long name: 1\nx: a long identifier\n");
    expect(formatRows(listing, rows, "table {{.Name}}\\t{{.ID}}", false)).toBe(
      "NAME        ID\nlong name   1\nx           a long identifier\n",
    );
    expect(formatRows(listing, rows, undefined, true)).toBe("1\na long identifier\n");
    expect(formatRows(listing, rows, "{{.Name}}", true)).toBe("long name\nx\n");
    expect(() => formatRows(listing, rows, "{{.Nosuch}}", false)).toThrow("Template parsing error");
  });

  it("one label of a row, by its name", () => {
    const listing = { headers: { ID: "ID" }, columns: ["ID"], quiet: "ID" };
    const rows = [{ ID: "a" }, { ID: "b" }];
    const labels = [{ "com.example.my-name": "x" }, {}];
    const format = (text: string): string => formatRows(listing, rows, text, false, labels);
    expect(format('{{.ID}}={{.Label "com.example.my-name"}}')).toBe("a=x\nb=\n");
    expect(format('{{"com.example.my-name" | .Label | upper}}')).toBe("X\n\n");
    expect(format('table {{.ID}}\\t{{.Label "com.example.my-name"}}')).toBe(
      "ID        my name\na         x\nb         \n",
    );
    expect(() => format("{{.Label}}")).toThrow("wrong number of args for Label: want 1 got 0");
    expect(() => format("{{.Label 1}}")).toThrow("expected string; found 1");
    expect(() => formatRows(listing, rows, '{{.Label "x"}}', false)).toThrow(
      "can't give argument to non-function .Label",
    );
  });

  it("sorts and cuts names", () => {
    expect(["n10", "n9", "n1a", "m", "n"].sort(naturalCompare)).toEqual(["m", "n", "n1a", "n9", "n10"]);
    expect(ellipsis("x".repeat(20), 20)).toBe("x".repeat(20));
    expect(ellipsis("x".repeat(21), 20)).toBe(`${"x".repeat(19)}…`);
  });
});

describe("JSON, sizes, ports", () => {
  it("is Go's JSON", () => {
    expect(compactJson("\b\f\n \\b\\f")).toBe('"\\u0008\\u000c\\n \\\\b\\\\f"');
    expect(indentJson({ a: {}, b: [], c: null, d: [1, { e: "<\u2028" }], f: undefined })).toBe(
      '{\n    "a": {},\n    "b": [],\n    "c": null,\n    "d": [\n        1,\n        {\n            "e": "<\\u2028"\n        }\n    ]\n}',
    );
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const json = value as Parameters<typeof indentJson>[0];
        expect(JSON.parse(indentJson(json))).toEqual(JSON.parse(JSON.stringify(value)));
        expect(JSON.parse(compactJson(json))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
      { numRuns: 2000 },
    );
  });

  it("words sizes as go-units", () => {
    expect(humanSize(5_541_000)).toBe("5.54MB");
    expect(humanSize(999)).toBe("999B");
    expect(bytesSize(3_145_728_000)).toBe("2.93GiB");
    expect(bytesSize(1024)).toBe("1KiB");
  });

  it("shows published ports", () => {
    const port = (PrivatePort: number, PublicPort?: number, IP?: string, Type = "tcp") => ({
      PrivatePort,
      Type,
      ...(PublicPort === undefined ? {} : { PublicPort, IP }),
    });
    expect(displayPorts([port(80), port(443)])).toBe("80/tcp, 443/tcp");
    expect(displayPorts([port(82), port(80), port(81), port(90, undefined, undefined, "udp")])).toBe(
      "80-82/tcp, 90/udp",
    );
    expect(displayPorts([port(80, 8080, "0.0.0.0"), port(80, 8080, "::")])).toBe(
      "0.0.0.0:8080->80/tcp, :::8080->80/tcp",
    );
    expect(displayPorts([port(80, 80, "0.0.0.0"), port(81, 81, "0.0.0.0")])).toBe("0.0.0.0:80-81->80-81/tcp");
  });

  it("reads -p", () => {
    expect(parsePublish("80")).toEqual([{ port: "80/tcp", hostIp: "", hostPort: "" }]);
    expect(parsePublish("8000-8001:80-81/udp")).toEqual([
      { port: "80/udp", hostIp: "", hostPort: "8000" },
      { port: "81/udp", hostIp: "", hostPort: "8001" },
    ]);
    for (const bad of ["", "x:80", "80:", "1.2.3.x:80:80", "80/icmp", "1-2:1-3", "70000"])
      expect(() => parsePublish(bad), bad).toThrow();
  });
});

describe("flags", () => {
  const specs: FlagSpec[] = [
    { name: "detach", short: "d", usage: "" },
    { name: "interactive", short: "i", usage: "" },
    { name: "tty", short: "t", usage: "" },
    { name: "name", short: "n", type: "string", usage: "" },
    { name: "env", short: "e", type: "list", usage: "", many: true },
    { name: "alias", type: "strings", usage: "", many: true, commas: true },
  ];

  it("reads all notations", () => {
    const { flags, args } = parseFlags(
      specs,
      ["-dit", "-nx", "-e", "A", "--env=B=C", "img", "--name", "last", "--alias", "a,b", "--", "--tty=x"],
      true,
    );
    expect(args).toEqual(["img", "--tty=x"]);
    expect([flags.bool("detach"), flags.bool("interactive"), flags.bool("tty"), flags.text("name")]).toEqual([
      true,
      true,
      true,
      "last",
    ]);
    expect([flags.list("env"), flags.list("alias"), flags.map("env")]).toEqual([
      ["A", "B=C"],
      ["a", "b"],
      { A: "", B: "C" },
    ]);
    expect(parseFlags(specs, ["-n=x", "--tty=false"], true).flags.text("name")).toBe("x");
    expect(parseFlags(specs, ["-d", "img", "-t"], false).args).toEqual(["img", "-t"]);
  });

  it.each([
    [["--foo"], "unknown flag: --foo"],
    [["--foo=1"], "unknown flag: --foo"],
    [["-xd"], "unknown shorthand flag: 'x' in -xd"],
    [["-dx"], "unknown shorthand flag: 'x' in -x"],
    [["--name"], "flag needs an argument: --name"],
    [["-dn"], "flag needs an argument: 'n' in -n"],
    [["--=x"], "bad flag syntax: --=x"],
    [
      ["--detach=maybe"],
      'invalid argument "maybe" for "-d, --detach" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
  ])("refuses %s", (argv, message) => {
    expect(() => parseFlags(specs, argv, true)).toThrow(expect.objectContaining({ name: "FlagError", message }));
  });
});

# Every configuration of bad/ must be refused with the message it states. Each is { base, change, message }, and where an
# option's type refuses it, `option`, the path of that option: such a message is the evaluator's and no assertion's.
{
  lib,
  pkgs,
  bases,
}:
let
  names = map (lib.removeSuffix ".nix") (
    lib.filter (lib.hasSuffix ".nix") (lib.attrNames (builtins.readDir ./bad))
  );
  cases = lib.genAttrs names (name: import ./bad/${name}.nix);

  configOf = case: (bases.${case.base}.extendModules { modules = [ case.change ]; }).config;
  failedOf = config: map (one: one.message) (lib.filter (one: !one.assertion) config.assertions);
  forced = case: builtins.deepSeq (lib.getAttrFromPath case.option (configOf case)) true;
  tried =
    value:
    let
      result = builtins.tryEval (builtins.deepSeq value value);
    in
    if result.success then result.value else null;

  verdictOf =
    case:
    if case ? option then
      {
        refused = tried (forced case) == null;
        messages = null;
      }
    else
      let
        messages = tried (failedOf (configOf case));
      in
      {
        inherit messages;
        refused = messages != null && lib.any (lib.hasInfix case.message) messages;
      };

  verdicts = lib.mapAttrs (_: case: verdictOf case // { inherit (case) message; }) cases;
  accepted = lib.mapAttrs (_: base: failedOf base.config) bases;
  wrong =
    lib.attrNames (lib.filterAttrs (_: verdict: !verdict.refused) verdicts)
    ++ lib.attrNames (lib.filterAttrs (_: failed: failed != [ ]) accepted);
in
pkgs.runCommand "hlhft-refusals"
  {
    passthru = {
      inherit verdicts accepted;
      # Of the bases that have every service of ours between them.
      units = bases.paper.manifest.units // bases.worker.manifest.units // bases.full.manifest.units;
      manifests = lib.mapAttrs (_: base: base.manifest) bases;
      rules =
        lib.mapAttrs
          (_: base: base.config.environment.etc."hlhft/prometheus/hlhft.rules.json".source or null)
          {
            inherit (bases) example tightened;
          };
      # Evaluating one of these fails with the message.
      thrown = lib.mapAttrs (_: forced) (lib.filterAttrs (_: case: case ? option) cases);
    };
  }
  (
    if wrong == [ ] then
      "touch $out"
    else
      throw "not as they should be: ${lib.concatStringsSep ", " wrong}"
  )

{
  description = "hlhft: market making on Hyperliquid, as one appliance";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    sops-nix = {
      url = "github:Mic92/sops-nix";
      inputs.nixpkgs.follows = "nixpkgs";
    };
    disko = {
      url = "github:nix-community/disko";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    { self, nixpkgs, ... }:
    let
      system = "x86_64-linux";
      pkgs = import nixpkgs {
        inherit system;
        overlays = [ self.overlays.default ];
      };
      app = program: description: {
        type = "app";
        program = nixpkgs.lib.getExe' pkgs.hlhft program;
        meta = { inherit description; };
      };
    in
    {
      overlays.default = import ./pkgs;

      packages.${system} = {
        default = pkgs.hlhft;
        inherit (pkgs) hlhft;
      };

      apps.${system} = {
        default = app "hlhft" "The command line";
        backtest = app "hlhft-backtest" "Backtest the bundled recording, or what the arguments name";
      };

      devShells.${system}.default = pkgs.callPackage ./pkgs/shell.nix { };

      nixosModules.default = {
        imports = [ ./nixos ];
        services.hlhft.package = nixpkgs.lib.mkDefault self.packages.${system}.hlhft;
      };

      checks.${system} = {
        inherit (pkgs) hlhft;
        package = pkgs.testers.runNixOSTest (import ./tests/nixos/package.nix { module = self.nixosModules.default; });
      };

      formatter.${system} = pkgs.nixfmt;
    };
}

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
    {
      self,
      nixpkgs,
      sops-nix,
      disko,
    }:
    let
      inherit (nixpkgs) lib;
      system = "x86_64-linux";
      pkgs = import nixpkgs {
        inherit system;
        overlays = [ self.overlays.default ];
        # Its licence is our own.
        config.allowUnfreePredicate = package: lib.hasPrefix "hlhft" (lib.getName package);
      };
      app = package: program: description: {
        type = "app";
        program = lib.getExe' package program;
        meta = { inherit description; };
      };
      modules = [
        "alertmanager"
        "alpha"
        "backup"
        "deployment"
        "engine"
        "exchange"
        "exporter"
        "firewall"
        "grafana"
        "host"
        "irq"
        "miner"
        "network"
        "node"
        "prometheus"
        "recorder"
        "secrets"
        "settings"
        "updates"
        "watchdog"
        "watchtower"
        "wireguard"
        "worker"
      ];
      # A module with this flake's packages, which is no overlay: a test's nodes share one package set.
      packaged = module: {
        imports = [ module ];
        services.hlhft = {
          package = lib.mkDefault self.packages.${system}.hlhft;
          researchPackage = lib.mkDefault self.packages.${system}.hlhft-research;
        };
      };
      # Each folder of nixos/hosts is a host; its secrets are those of its name.
      host =
        name:
        let
          encrypted = ./secrets/${name}.json;
        in
        lib.nixosSystem {
          modules = [
            sops-nix.nixosModules.sops
            disko.nixosModules.disko
            self.nixosModules.default
            ./nixos/hosts/${name}
            {
              services.hlhft.secrets.sopsFile = lib.mkIf (builtins.pathExists encrypted) (
                lib.mkDefault encrypted
              );
            }
          ];
        };
    in
    {
      overlays.default = import ./pkgs;

      packages.${system} = {
        default = pkgs.hlhft;
        inherit (pkgs) hlhft hlhft-deploy hlhft-research;
        inherit (pkgs.python3Packages) hyperliquid-python-sdk;
      };

      apps.${system} = {
        default = app pkgs.hlhft "hlhft" "The command line";
        deploy =
          app pkgs.hlhft-deploy "hlhft-deploy"
            "Make a server's keys, install it, change it, take a change back";
        demo = app pkgs.hlhft "hlhft-demo" "Rehearse live trading on this machine, and report what it made";
        backtest =
          app pkgs.hlhft "hlhft-backtest"
            "Backtest the bundled recording, or what the arguments name";
        mine = app pkgs.hlhft "hlhft-mine" "Fetch the venue's archives into the catalogue, after asking";
        exchange = app pkgs.hlhft "hlhft-exchange" "Serve a Hyperliquid on this machine";
        train =
          app pkgs.hlhft-research "hlhft-train"
            "Train a model on recorded data and say what it is worth";
      };

      devShells.${system}.default = pkgs.callPackage ./pkgs/shell.nix { };

      nixosModules = {
        default = packaged ./nixos;
      }
      // lib.genAttrs modules (name: packaged ./nixos/${name}.nix)
      // lib.genAttrs [ "hetzner-cloud" "hetzner-dedicated" "low-latency" "server" "vm-test" ] (
        name: packaged ./nixos/profiles/${name}.nix
      );

      nixosConfigurations = lib.genAttrs (lib.attrNames (builtins.readDir ./nixos/hosts)) host;

      checks.${system} = {
        inherit (pkgs) hlhft hlhft-research;
        formatting = pkgs.runCommand "hlhft-formatting" { nativeBuildInputs = [ pkgs.nixfmt ]; } ''
          find ${self} -name '*.nix' -exec nixfmt --check {} +
          touch $out
        '';
        library = import ./tests/nix/library.nix { inherit lib pkgs; };
        refusals = import ./tests/nix/refusals.nix {
          inherit lib pkgs;
          bases = import ./tests/nix/bases.nix { inherit self lib; };
        };
      }
      // import ./tests/nixos { inherit self lib pkgs; };

      formatter.${system} = pkgs.nixfmt;
    };
}

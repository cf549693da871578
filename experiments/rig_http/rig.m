function rig(service, study, measure, block, folder, token)
%RIG  Shows the images of a study of mango, block after block, and tells the responses, until the study ends.
%
%   rig('http://127.0.0.1:8700', 'v4-unit6', @measure)
%   rig(service, study, measure, block, folder, token)
%
%   MEASURE  gets the name of a PNG file, shows it, and returns the response, a number; NaN where there was none.
%   BLOCK    images in a block, 20 by default.
%   FOLDER   for everything that is kept, rig-STUDY by default. MATLAB and the service may be killed at any moment:
%            call RIG again with the same folder, and it goes on with the block that it was at.
%   TOKEN    of the service, where it wants one.
%
%   Needs MATLAB R2016b or newer and no toolbox. A study is made on the command line, or here, once:
%
%   webwrite('http://127.0.0.1:8700/v1/studies', ...
%       jsonencode(struct('name', 'v4-unit6', 'generator', 'vqvae-cifar10', 'budget', 2000)), ...
%       weboptions('MediaType', 'application/json'))

    if nargin < 4, block = 20; end
    if nargin < 5, folder = ['rig-' study]; end
    if nargin < 6, token = ''; end
    if ~exist(folder, 'dir'), mkdir(folder); end
    url = [service '/v1/studies/' study];

    while true
        begun = resumed(folder);
        asked = send([url '/ask'], struct('n', block), begun.key, token);
        if isempty(asked.trials)
            if any(strcmp(asked.state, {'finished', 'exhausted'})), break, end
            say('no images now: the study is %s', asked.state);
            pause(1);
            continue
        end

        results = {};
        references = {};
        for place = 1:numel(asked.trials)
            trial = asked.trials(place);
            name = sprintf('trial_%d_%d', trial.number, trial.attempt);
            file = fullfile(folder, sprintf('%s_%06d.png', study, trial.number));
            begun = once(begun, name, [service trial.stimulus_url], file, measure, folder, token);
            results{end + 1} = struct('number', trial.number, 'attempt', trial.attempt, ...
                'value', begun.answers.(name)); %#ok<AGROW>
            for k = 1:numel(asked.references) % images that tell how the neuron drifts
                reference = asked.references(k);
                if reference.after ~= place, continue, end
                name = sprintf('reference_%d', reference.presentation);
                file = fullfile(folder, sprintf('reference_%d.png', reference.image));
                begun = once(begun, name, [service reference.stimulus_url], file, measure, folder, token);
                references{end + 1} = struct('presentation', reference.presentation, ...
                    'value', begun.answers.(name)); %#ok<AGROW>
            end
        end

        told = struct();
        told.results = results; % cells, so that a single one is an array too; NaN becomes null
        told.references = references;
        said = send([url '/tell'], told, begun.key, token);
        delete(fullfile(folder, 'block.mat')); % from here on the next block is asked
        say('told %d responses; %d of %s so far', numel(results), said.counts.told, study);
    end
    say('%s has ended', study);
end

function begun = resumed(folder)
    % The block that was begun, else a new one. Its key makes an ask or a tell the same one, however often it is sent.
    file = fullfile(folder, 'block.mat');
    if exist(file, 'file')
        begun = load(file);
        return
    end
    [~, unique] = fileparts(tempname); % not from rand, which starts alike in every session
    begun = struct('key', [datestr(now, 'yyyymmddTHHMMSSFFF') '-' unique], 'shown', struct(), 'answers', struct());
    keep(begun, folder);
end

function begun = once(begun, name, url, file, measure, folder, token)
    % Shows an image and keeps the response, unless that has been done.
    if isfield(begun.answers, name), return, end
    if ~exist(file, 'file')
        fetch(url, file, token);
    end
    if isfield(begun.shown, name)
        say('shown a second time, for the first was interrupted: %s', name);
    end
    begun.shown.(name) = true;
    keep(begun, folder);
    begun.answers.(name) = double(measure(file));
    keep(begun, folder);
end

function keep(begun, folder)
    % Whole or not at all.
    written = fullfile(folder, 'block.new.mat');
    save(written, '-struct', 'begun');
    movefile(written, fullfile(folder, 'block.mat'), 'f');
end

function answer = send(url, body, key, token)
    options = weboptions('MediaType', 'application/json', 'ContentType', 'json', 'Timeout', 60, ...
        'KeyName', 'Idempotency-Key', 'KeyValue', key);
    options = authorized(options, token);
    answer = patiently(@() webwrite(url, jsonencode(body), options));
end

function fetch(url, file, token)
    options = authorized(weboptions('Timeout', 60), token);
    patiently(@() websave([file '.part'], url, options));
    movefile([file '.part'], file, 'f');
end

function options = authorized(options, token)
    if ~isempty(token)
        options.HeaderFields = {'Authorization', ['Bearer ' token]};
    end
end

function answer = patiently(request)
    % Sends a request until it is answered; what the service refuses is an error.
    wait = 1;
    while true
        try
            answer = request();
            return
        catch problem
            status = regexp(problem.identifier, 'HTTP(4\d\d)', 'tokens', 'once');
            if ~isempty(status) && ~any(strcmp(status{1}, {'408', '429'}))
                rethrow(problem);
            end
            say('no answer (%s); again in %d s', problem.message, wait);
        end
        pause(wait);
        wait = min(2 * wait, 8);
    end
end

function say(varargin)
    fprintf('%s %s\n', datestr(now, 'HH:MM:SS'), sprintf(varargin{:}));
end
